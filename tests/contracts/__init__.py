"""What each port promises, asked of every adapter: the one that runs and the one that unit tests stand on."""
