"""The simulated exchange, as a process."""

from pathlib import Path

from exchange.simulator.memory import keep_collections_short
from exchange.simulator.restoring import JournalDamagedError
from exchange.simulator.server import SimulatorConfig, serve
from runtime.processes.lifecycle import Process, until_stopped
from runtime.server.listening import cannot_listen
from runtime.settings import SettingsError

REQUIRES = ()


async def run(process: Process) -> None:
    """Serve the venue's protocol and the simulator's controls on EXCHANGE_PORT until stopped.

    Raises SettingsError when the journal file cannot be read or the port is in use.
    """
    settings = process.settings
    config = SimulatorConfig(
        host=settings.host,
        port=settings.exchange_port,
        key=settings.exchange_key.get_secret_value(),
        secret=settings.exchange_secret.get_secret_value(),
        journal_path=Path(settings.exchange_journal_file) if settings.exchange_journal_file else None,
    )
    process.telemetry.info("exchange_listening", host=settings.host, port=settings.exchange_port)
    await until_stopped(process, lambda: _serve(config), collecting=keep_collections_short)


async def _serve(config: SimulatorConfig) -> None:
    try:
        await serve(config)
    except JournalDamagedError as error:
        sentence = f"EXCHANGE_JOURNAL_FILE: {error}. Move it away to start with an empty exchange."
        raise SettingsError(sentence) from error
    except OSError as error:
        if error.filename is not None:
            raise SettingsError(f"EXCHANGE_JOURNAL_FILE: {error}") from error
        raise cannot_listen(error, host=config.host, port=config.port, setting="EXCHANGE_PORT") from error
