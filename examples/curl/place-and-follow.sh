#!/usr/bin/env bash
# curl and jq: place an order, then ask for the changes that are new until it is final. For a live push use a websocket.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

url=${FILLWIRE_URL:-http://127.0.0.1:8000/graphql}
client_order_id=$(cat /proc/sys/kernel/random/uuid) # One for each intent; the same on every retry.
order=$(jq --null-input --arg id "$client_order_id" --arg isin "${1:-US0378331005}" --arg side "${2:-BUY}" \
    --arg quantity "${3:-90}" '{input: {clientOrderId: $id, isin: $isin, side: $side, type: "MARKET", quantity: $quantity}}')

# ask DOCUMENT VARIABLES: the answer. An order may be sent again as often as it takes: the same id gives the same order.
# The token is read for each request: tokens expire.
ask() {
    jq --null-input --compact-output --arg query "$1" --argjson variables "$2" '{$query, $variables}' |
        curl --silent --show-error --max-time 10 --retry 8 --retry-all-errors --data-binary @- "$url" \
            --header "Authorization: Bearer ${FILLWIRE_TOKEN:-$(cat .local/token)}" --header 'Content-Type: application/json'
}

# refused ANSWER: whether it is an error that the same request gets again, such as UNAUTHENTICATED; says which.
refused() {
    jq --raw-output --exit-status '.errors[]? | select(.extensions.code | IN("INTERNAL", "TIMED_OUT", "UNAVAILABLE") | not)
        | "\(.extensions.code): \(.message)"' <<< "$1" >&2
}

place='mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess { order { id version status filledQuantity } }
    ... on InvalidOrder { issues { path code message } }
    ... on UserError { code message }
  }
}'
# history is a list that only grows: after its last cursor comes just what is new.
follow='query Follow($id: ID!, $after: String) {
  order(id: $id) {
    isFinal
    history(after: $after) { nodes { version status filledQuantity } pageInfo { endCursor } }
  }
}'

until answer=$(ask "$place" "$order") && [[ $(jq -r '.data.placeOrder.__typename' <<< "$answer") != @(Unavailable|null) ]]; do
    if refused "$answer"; then exit 1; fi
    sleep 1
done
id=$(jq -r '.data.placeOrder.order.id // empty' <<< "$answer")
if [[ -z $id ]]; then
    jq -r '(.data.placeOrder.issues // [.data.placeOrder])[] | "\(.code): \(.message)"' <<< "$answer" >&2
    exit 1
fi

after=null
until [[ ${final:-false} == true ]]; do
    answer=$(ask "$follow" "$(jq --null-input --arg id "$id" --argjson after "$after" '{$id, $after}')")
    if refused "$answer"; then exit 1; fi
    jq -r '.data.order.history.nodes[]? | "\(.version) \(.status) \(.filledQuantity)"' <<< "$answer"
    after=$(jq --argjson before "$after" '.data.order.history.pageInfo.endCursor // $before' <<< "$answer")
    final=$(jq '.data.order.isFinal' <<< "$answer")
    [[ $final == true ]] || sleep 1
done
