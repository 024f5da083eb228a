"""The local stack behind ./dev up: embedded servers, supervision, tokens for development."""
