"""What an attacker tries."""
