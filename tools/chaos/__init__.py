"""The fault run: everything under load, killed, paused and lied to, then checked against the promises."""
