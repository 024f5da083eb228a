"""Alerts: which log events people are notified of, grouped into few messages for webhooks, mail and chats."""
