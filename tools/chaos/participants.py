"""All that act in one run, or watch it."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from tools.chaos.arena import Arena
from tools.chaos.arena_settings import LEASE_SECONDS
from tools.chaos.calm import Calm
from tools.chaos.clients import Clients
from tools.chaos.evidence import Evidence, Leftover
from tools.chaos.exchange_faults import ExchangeFaults, usual_faults
from tools.chaos.external_load import ExternalLoad
from tools.chaos.halts import Halts
from tools.chaos.history import History
from tools.chaos.ledger import Ledger, Stored
from tools.chaos.load import Load
from tools.chaos.nemesis import Nemesis
from tools.chaos.operators import Operator
from tools.chaos.options import Options
from tools.chaos.report import Figures
from tools.chaos.request_trail import RequestTrail
from tools.chaos.schedule import WORKERS
from tools.chaos.subscribers import Subscribers
from tools.chaos.truth import Journal

CRASHED = "exit code 9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participants:
    """The participants of a run in its arena; `ledger` reads the database for all but the load and the lag."""

    arena: Arena
    history: History
    ledger: Ledger
    clients: Clients
    load: Load
    subscribers: Subscribers
    halts: Halts
    nemesis: Nemesis
    operator: Operator
    external: ExternalLoad
    trail: RequestTrail
    journal: Journal

    def gather(self, stored: Stored, *, calm: Calm, leftovers: Sequence[Leftover]) -> Evidence:
        """Return what all of them saw."""
        journal = self.journal
        ids = {order.venue_client_order_id: order.id for order in stored.orders}
        return Evidence(
            place_answers=self.load.place_answers,
            cancel_answers=self.load.cancel_answers,
            followings=self.subscribers.followings,
            venue_orders=[replace(each, order_id=ids.get(each.order_id, each.order_id)) for each in journal.orders],
            venue_executions=[
                replace(each, order_id=ids.get(each.order_id, each.order_id)) for each in journal.executions
            ],
            orders=stored.orders,
            executions=[replace(each, execution_id=journal.first_id(each.execution_id)) for each in stored.executions],
            changes=stored.changes,
            sequences=stored.sequences,
            placing_steps=stored.placing_steps,
            leader_steps=stored.leader_steps,
            batches=stored.batches,
            requests=self.trail.requests,
            lives_cut_short=self.trail.lives_cut_short,
            pauses=[pause for pause in self.nemesis.pauses if pause.process in WORKERS],
            halts=self.halts.periods,
            lease_seconds=LEASE_SECONDS,
            leftovers=leftovers,
            quiet_seconds=calm.quiet_seconds,
            behind_seconds=calm.behind_seconds,
        )

    def figures(
        self, *, total_seconds: float, checking_seconds: float, memory_bytes: int, load_seconds: float
    ) -> Figures:
        """Return the figures of the run."""
        deaths = self.arena.deaths
        return Figures(
            total_seconds=total_seconds,
            checking_seconds=checking_seconds,
            memory_bytes=memory_bytes,
            history_bytes=self.history.size_bytes,
            load_seconds=load_seconds,
            asked_orders=self.load.asked_orders,
            held_seconds=self.load.held_seconds,
            crowded_seconds=self.load.crowded_seconds,
            reconnects=self.subscribers.reconnects,
            messages=self.subscribers.messages,
            deaths=deaths,
            external_orders=self.journal.external_orders,
            external_executions=self.journal.external_executions,
            external_fates=self.external.fates,
            habits={**self.journal.counts, **Counter(self.operator.resolved.values())},
            gateway_answers=self.trail.scripted,
            crashes=sum(count for name, count in deaths.items() if CRASHED in name),
        )


def make_participants(arena: Arena, options: Options, history: History, stack: AsyncExitStack) -> Participants:
    """Return the participants of a run; the stack closes what they hold."""
    seed, ledger = options.seed, open_ledger(arena, stack)
    clients = Clients(urls=arena.api_urls, secret=arena.token_secret)
    stack.callback(clients.connections.close)
    subscribers = Subscribers(clients=clients, history=history, seed=seed, count=options.subscribers)
    load = Load(
        clients=clients,
        ledger=open_ledger(arena, stack),
        history=history,
        seed=seed,
        orders_per_second=options.orders_per_second,
        on_acknowledged=subscribers.offer,
    )
    trail, journal = RequestTrail(), Journal()
    halts = Halts(clients=clients, history=history, seed=seed)
    usual = usual_faults(habits=options.habits, has_id_check=options.has_id_check)
    exchange = ExchangeFaults(arena=arena, trail=trail, seed=seed, usual=usual)
    return Participants(
        arena=arena,
        history=history,
        ledger=ledger,
        clients=clients,
        load=load,
        subscribers=subscribers,
        halts=halts,
        nemesis=Nemesis(arena=arena, history=history, exchange=exchange, halts=halts, seed=seed),
        operator=Operator(arena=arena, clients=clients, ledger=ledger, journal=journal, history=history, halts=halts),
        external=ExternalLoad(arena=arena, history=history, seed=seed),
        trail=trail,
        journal=journal,
    )


def open_ledger(arena: Arena, stack: AsyncExitStack) -> Ledger:
    """Return a reader of the database, which the stack closes."""
    ledger = Ledger(arena.database_url)
    stack.callback(ledger.close)
    return ledger
