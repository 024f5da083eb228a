"""The simulated exchange as a process of its own."""

from pathlib import Path

from exchange.simulator.restoring import JournalDamagedError
from exchange.simulator.server import SimulatorConfig, serve
from runtime.process import Process, until_stopped
from runtime.settings import SettingsError

REQUIRES = ()


async def run(process: Process) -> None:
    """Serve the venue's protocol and the controls on EXCHANGE_PORT until stopped. Raises SettingsError when the
    journal file cannot be read."""
    settings = process.settings
    config = SimulatorConfig(
        host=settings.host,
        port=settings.exchange_port,
        key=settings.exchange_key.get_secret_value(),
        secret=settings.exchange_secret.get_secret_value(),
        journal_path=Path(settings.exchange_journal_file) if settings.exchange_journal_file else None,
    )
    process.telemetry.info("exchange_listening", host=settings.host, port=settings.exchange_port)
    damage = ""
    try:
        await until_stopped(process, lambda: serve(config))
    except* JournalDamagedError as errors:
        damage = str(errors.exceptions[0])
    if damage:
        raise SettingsError(f"EXCHANGE_JOURNAL_FILE: {damage}. Move it away to start with an empty exchange.")
