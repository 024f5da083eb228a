"""Alerts: which events people are told of, gathered into few messages and sent by webhook, mail or chat."""
