// The operations, as the Relay compiler finds them. Components hold their own; here they stand together.
import { graphql } from "relay-runtime";

export const place = () => graphql`
  mutation ordersPlaceMutation($input: PlaceOrderInput!) {
    placeOrder(input: $input) {
      __typename
      ... on PlaceOrderSuccess { order { id version status filledQuantity } }
      ... on InvalidOrder { issues { path code message } }
      ... on ClientOrderIdConflict { existingOrder { id } }
      ... on Unavailable { retryAfterMs }
      ... on UserError { code message }
    }
  }
`;

export const follow = () => graphql`
  subscription ordersFollowSubscription($orderId: ID!, $afterVersion: Int) {
    orderStatus(orderId: $orderId, afterVersion: $afterVersion) {
      order { id version status filledQuantity }
    }
  }
`;
