"""The load generator: a separate process for requests and subscriptions, so that it takes no time from what it
measures.
"""
