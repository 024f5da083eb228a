"""Every setting, limit and time-out, with its unit as the last word of its name. Read from the environment, once.

`python -m runtime settings` prints them all, secrets masked. A process does not start with an invalid value.
"""

from runtime.settings.settings import HOW_TO_SET, Settings, SettingsError, load_settings

__all__ = ["HOW_TO_SET", "Settings", "SettingsError", "load_settings"]
