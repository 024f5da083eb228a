"""What every part of the schema means, in the words that front ends read in GraphiQL and in schema.graphql.

A promise that somebody implements stands beside its code; what only names a thing stands here, so that the types stay
short. Nothing is described twice, nothing is left out: both are tests.
"""

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLEnumType, GraphQLSchema, GraphQLUnionType, is_specified_scalar_type

ANYWHERE = {
    "Connection": "A page of a list, as Relay's specification of connections has it.",
    "Connection.edges": "The rows, each with its cursor.",
    "Connection.nodes": "The rows alone, for clients that need no cursor of each.",
    "Connection.pageInfo": "Where the page stands in the list.",
    "Edge": "A row of a list and its place in it.",
    "Edge.cursor": "The row's place, for `after` and `before` of the same list in the same sort.",
    "Edge.node": "The row.",
    "(first:)": "How many rows from the start, or behind `after`; at most 100.",
    "(after:)": "Only what comes behind this cursor.",
    "(last:)": "How many rows from the end, or in front of `before`; at most 100.",
    "(before:)": "Only what comes in front of this cursor.",
}
"""By the end of a type's name, or by the name of an argument: what means the same everywhere."""

WORDS = {
    "Query": "Reading. An account sees what is its own; an operator sees every account.",
    "Query.node": "Whatever has this id: an order, an execution, an instrument. Null when there is none to be seen.",
    "Query.node(id:)": "The id of any node.",
    "Query.nodes": "Several nodes at once, in the order of their ids; null for each that is not to be seen.",
    "Query.nodes(ids:)": "At most 100 ids.",
    "Query.viewer": "The bearer of the token.",
    "Query.order(id:)": "The order's id, as placeOrder gave it.",
    "Query.orderByClientOrderId": "The viewer's own order by the id that the client chose; null when there is none.",
    "Query.orderByClientOrderId(clientOrderId:)": "What was sent as clientOrderId.",
    "Query.orders(filter:)": "Only orders that meet all of this.",
    "Query.orders(sort:)": "The list's order. A cursor belongs to the sort that it was given for.",
    "Query.instrument": "One instrument; null when we do not know it.",
    "Query.instrument(isin:)": "Its ISIN.",
    "Query.instruments(search:)": "The start of an ISIN, a symbol or a name, in any case.",
    "Mutation": "Placing and canceling. Expected failures are members of the results, never top-level errors.",
    "Mutation.placeOrder(input:)": "The order.",
    "Mutation.placeOrder(waitMs:)": "How many milliseconds to wait for the first attempt to place it.",
    "Mutation.cancelOrder": (
        "Asks the venue to cancel what is left of the order. Returns as soon as the request is stored for good; the "
        "order is CANCELED once the venue has confirmed it. Safe to repeat."
    ),
    "Mutation.cancelOrder(input:)": "The order to cancel.",
    "Subscription": "Live updates, over the websocket (subprotocol graphql-transport-ws).",
    "Subscription.orderStatus(orderId:)": "The order to follow.",
    "Subscription.orderStatus(afterVersion:)": "The last version that the client has seen.",
    "Subscription.orderUpdates(after:)": "The last cursor that the client has seen.",
    "Node": "What can be found again by its id.",
    "Node.id": "Unique among all nodes, and for ever the same.",
    "PageInfo": "Where a page stands in its list.",
    "PageInfo.hasNextPage": "Whether rows follow.",
    "PageInfo.hasPreviousPage": "Whether rows come before.",
    "PageInfo.startCursor": "The first row's cursor; null on an empty page.",
    "PageInfo.endCursor": "The last row's cursor; null on an empty page.",
    "Viewer": "The bearer of the token, as the token describes it.",
    "Viewer.accountId": "The account that it acts for.",
    "Viewer.scopes": "What it allows: orders:read, orders:place, orders:cancel, operator.",
    "Viewer.tokenExpiresAt": "When it expires. A websocket is closed then, with 4401.",
    "Instrument": "What can be traded.",
    "Instrument.isin": "Its ISIN.",
    "Instrument.symbol": "Its symbol at the venue.",
    "Instrument.name": "Its name.",
    "Instrument.currency": "ISO 4217 code of the currency of its prices.",
    "Instrument.tradable": "Whether orders for it are taken at the moment.",
    "Order": "An order: what was asked for, and what has become of it.",
    "Order.accountId": "The account that it belongs to.",
    "Order.clientOrderId": "The id that the client chose.",
    "Order.instrument": "What is bought or sold.",
    "Order.side": "Bought or sold.",
    "Order.type": "At the market, or with a limit.",
    "Order.timeInForce": "How long it works at the venue.",
    "Order.quantity": "How much was ordered.",
    "Order.limitPrice": "The worst price it may trade at; null for MARKET.",
    "Order.status": "Where it stands.",
    "Order.filledQuantity": "How much was executed: the exact sum over its executions.",
    "Order.leavesQuantity": "How much may still be executed; 0 once the order is final.",
    "Order.averagePrice": "The average price of its executions; null before the first.",
    "Order.venueOrderId": "The venue's own id of it, once it is known.",
    "Order.placement": "How far bringing it to the venue has come.",
    "Order.createdAt": "When it was stored.",
    "Order.updatedAt": "When it changed last.",
    "Order.executions": "What was executed, oldest first.",
    "OrderReason": "Why an order is as it is.",
    "OrderReason.code": "A stable word for it.",
    "OrderReason.message": "A sentence for people.",
    "OrderReason.source": "Who gave the reason.",
    "ReasonSource": "Who gave a reason.",
    "ReasonSource.VENUE": "The venue.",
    "ReasonSource.SYSTEM": "Fillwire.",
    "ReasonSource.ACCOUNT": "The account itself, by what it asked for.",
    "Placement": "How far bringing an order to the venue has come.",
    "Placement.attempts": "Attempts so far.",
    "Placement.maxAttempts": "Attempts before the order is given up.",
    "Placement.lastAttemptAt": "When the last attempt began; null before the first.",
    "Placement.nextAttemptAt": "When the next attempt is due; null when none is.",
    "Placement.lastError": "What went wrong with the last attempt; null when nothing did.",
    "Execution": "One execution of an order: a part of it, traded at one price.",
    "Execution.quantity": "How much was traded.",
    "Execution.price": "At what price.",
    "Execution.executedAt": "When, by the venue's clock.",
    "Execution.receivedAt": "When we heard of it.",
    "OrderChange.kind": "What happened.",
    "OrderChange.version": "The order's version from this change on.",
    "OrderChange.at": "When it was recorded.",
    "OrderChange.status": "The order's status right after it.",
    "OrderChange.filledQuantity": "How much was executed by then.",
    "OrderChange.averagePrice": "The average price by then; null before the first execution.",
    "OrderChange.execution": "The execution behind a FILL or a CORRECTED; null for any other kind.",
    "OrderChange.reason": "Why the order was as it was right after the change, where there is a reason.",
    "OrderChangeKind": "What happened to an order.",
    "OrderChangeKind.RECEIVED": "It was stored.",
    "OrderChangeKind.PLACEMENT_IN_DOUBT": "It was sent, and the answer was lost.",
    "OrderChangeKind.PLACED": "The venue took it.",
    "OrderChangeKind.FILL": "A part of it, or all, was executed.",
    "OrderChangeKind.CANCEL_REQUESTED": "Its cancellation was asked for.",
    "OrderChangeKind.CANCEL_REFUSED": "The venue refused to cancel it.",
    "OrderChangeKind.CANCELED": "The venue canceled what was left of it.",
    "OrderChangeKind.EXPIRED": "Its time in force ended.",
    "OrderChangeKind.REJECTED": "The venue refused it.",
    "OrderChangeKind.FAILED": "It was given up; the venue does not have it.",
    "OrderChangeKind.CORRECTED": "The venue corrected or took back an execution.",
    "OrderSide": "Which side of the trade.",
    "OrderSide.BUY": "Buy.",
    "OrderSide.SELL": "Sell.",
    "OrderType": "At which price.",
    "OrderType.MARKET": "At the best price there is.",
    "OrderType.LIMIT": "At the limit price or better.",
    "TimeInForce": "How long an order works at the venue.",
    "TimeInForce.DAY": "Until the trading day ends.",
    "TimeInForce.GTC": "Good till canceled.",
    "TimeInForce.IOC": "Immediate or cancel: what does not trade at once is canceled.",
    "TimeInForce.FOK": "Fill or kill: all of it at once, or nothing.",
    "OrderStatus": "Where an order stands. Treat a value that you do not know as one that is not final.",
    "OrderStatus.PARTIALLY_FILLED": "A part of it was executed; the rest works on.",
    "OrderStatus.FILLED": "All of it was executed.",
    "OrderStatus.CANCELED": "What was left of it was canceled.",
    "OrderStatus.EXPIRED": "Its time in force ended before all of it was executed.",
    "OrderSort": "The order of a list of orders.",
    "OrderSort.CREATED_DESC": "Newest first.",
    "OrderSort.CREATED_ASC": "Oldest first.",
    "OrderSort.UPDATED_DESC": "Last changed first. An order that changes while you page moves to the front.",
    "OrderFilter": "Which orders. What is left out or null filters nothing.",
    "OrderFilter.statuses": "In one of these statuses.",
    "OrderFilter.isFinal": "Final, or not.",
    "OrderFilter.isins": "For one of these instruments.",
    "OrderFilter.side": "On this side.",
    "OrderFilter.createdFrom": "Stored at this moment or later.",
    "OrderFilter.createdBefore": "Stored before this moment.",
    "OrderFilter.updatedFrom": "Changed at this moment or later.",
    "PlaceOrderInput": "An order to place.",
    "PlaceOrderInput.isin": "The instrument.",
    "PlaceOrderInput.side": "Buy or sell.",
    "PlaceOrderInput.type": "At the market, or with a limit.",
    "PlaceOrderInput.quantity": "How much: greater than 0, and a multiple of the instrument's lot size.",
    "PlaceOrderInput.timeInForce": "How long it shall work at the venue.",
    "PlaceOrderResult": "The stored order, or why nothing was stored.",
    "PlaceOrderSuccess": "The order is stored for good, and will be brought to the venue.",
    "PlaceOrderSuccess.order": "The order as it stands now.",
    "PlaceOrderSuccess.orderEdge": "The same with its cursor in `orders`, for Relay's @prependEdge.",
    "CancelOrderInput": "A cancellation.",
    "CancelOrderInput.orderId": "The id of the order to cancel.",
    "CancelOrderResult": "The order, its cancellation asked for, or why there is nothing to cancel.",
    "CancelOrderSuccess": "The cancellation is stored for good, and will be brought to the venue.",
    "CancelOrderSuccess.order": "The order as it stands now; PENDING_CANCEL, as a rule.",
    "UserError.code": "Stable: clients may switch over it.",
    "UserError.message": "A sentence for people. Its words may change.",
    "UserError.path": "From the mutation's arguments to the field that is wrong; null when no one field is.",
    "InvalidOrder": (
        "Fields that break a rule. Nothing was stored; mend the input and send it under the same clientOrderId."
    ),
    "InvalidOrder.issues": "Everything that is wrong, not only the first thing.",
    "InputIssue.path": "From the mutation's arguments to the field.",
    "InputIssue.code": "What is wrong with it.",
    "InputIssue.message": "A sentence for people.",
    "ClientOrderIdConflict": (
        "The clientOrderId was used before with other content. Nothing was stored; a new intent needs a new id."
    ),
    "ClientOrderIdConflict.existingOrder": "The order that has the id.",
    "Unavailable.retryAfterMs": "How many milliseconds to wait before trying again.",
    "OrderNotFound": "There is no such order, or it belongs to somebody else; the two cannot be told apart.",
    "NotCancelable": "The order is final: there is nothing left to cancel.",
    "NotCancelable.order": "The order as it ended.",
    "Query.accountLimits(accountId:)": "The account; null or left out: the defaults.",
    "Query.tradingHalts(isOpen:)": "Only those that hold now, or only those that ended.",
    "Query.tradingHalts(accountId:)": "Only those that concern this account; those of all accounts do.",
    "TradingHalt.haltedAt": "When it began.",
    "TradingHalt.haltReason": "Why, in the operator's words.",
    "TradingHalt.resumedBy": "The operator who ended it.",
    "TradingHalt.resumeReason": "Why it could end, in the operator's words.",
    "Mutation.haltTrading(input:)": "Whom to halt, and why.",
    "Mutation.resumeTrading(input:)": "Whose halt to end, and why.",
    "Mutation.setAccountLimits(input:)": "The account and all its limits.",
    "Mutation.clearAccountLimits(input:)": "Whose limits to remove.",
    "HaltTradingInput": "A halt of trading.",
    "HaltTradingResult": "The halt that holds, or why it cannot be told.",
    "HaltTradingSuccess": "Trading is halted in every process.",
    "ResumeTradingInput": "The end of a halt.",
    "ResumeTradingResult": "The halt that ended, or why none did.",
    "ResumeTradingSuccess": "The halt is over.",
    "SetAccountLimitsInput.maxQuantity": "The largest quantity of one order.",
    "SetAccountLimitsInput.maxNotional": "The largest quantity times price of one order, in the instrument's currency.",
    "SetAccountLimitsInput.priceCollarPercent": "How far a limit price may be from the last known price, in percent.",
    "SetAccountLimitsInput.maxOpenOrders": "How many orders that are not final the account may have; 1 or more.",
    "SetAccountLimitsResult": "The limits as they hold, or why they were not set.",
    "SetAccountLimitsSuccess": "The limits are set.",
    "InvalidLimits.issues": "Everything that is wrong, not only the first thing.",
    "ClearAccountLimitsInput": "Whose limits to remove.",
    "ClearAccountLimitsResult": "What holds now, or why nothing was removed.",
    "ClearAccountLimitsSuccess": "The limits are removed.",
    "OrderUpdateKind": "What a message about one order brings.",
    "OrderUpdateKind.CHANGE": "One change, with the order as it stood right after it.",
    "OrderUpdate": "A message about one order.",
    "OrderUpdate.kind": "What the message is.",
    "OrderUpdate.order": "The whole order, so that a cache by id is up to date.",
    "OrderUpdate.change": "The change; null in a SNAPSHOT.",
    "OrderStreamKind": "What a message about an account's orders brings.",
    "OrderStreamKind.CHANGE": "One change of one order.",
    "OrderStreamUpdate": "A message about an account's orders.",
    "OrderStreamUpdate.kind": "What the message is.",
    "OrderStreamUpdate.cursor": "Where to go on from. Keep it once the message was dealt with.",
    "OrderStreamUpdate.order": "The whole order; null but in a CHANGE.",
    "OrderStreamUpdate.change": "The change; null but in a CHANGE.",
}
"""By `Type`, `Type.member` or `Type.field(argument:)`."""


def describe(schema: GraphQLSchema) -> None:
    """Give every part of the schema its description, but for those that have one."""
    for place, part, inherited in parts(schema):
        if part.description is None:
            part.description = next((WORDS[name] for name in (place, *inherited) if name in WORDS), None)
        if part.description is None:
            part.description = next((ANYWHERE[name] for name in _everywhere(place) if name in ANYWHERE), None)


def parts(schema: GraphQLSchema) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Every type, field, argument and enum value: its place, the part itself, and the places that it inherits from."""
    for name, type_ in schema.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(type_):
            continue
        yield name, type_, ()
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{name}.{value_name}", value, ()) for value_name, value in type_.values.items())
            continue
        if isinstance(type_, GraphQLUnionType):
            continue
        interfaces = [interface.name for interface in getattr(type_, "interfaces", ())]
        for field_name, field in getattr(type_, "fields", {}).items():
            place = f"{name}.{field_name}"
            yield place, field, tuple(f"{interface}.{field_name}" for interface in interfaces)
            for argument_name, argument in getattr(field, "args", {}).items():
                yield f"{place}({argument_name}:)", argument, ()


def _everywhere(place: str) -> Iterator[str]:
    type_name, dot, member = place.partition(".")
    yield from (f"{ending}{dot}{member}" for ending in ("Connection", "Edge") if type_name.endswith(ending))
    if place.endswith(")"):
        yield place[place.index("(") :]
