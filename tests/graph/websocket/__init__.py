"""Tests of graph/websocket."""
