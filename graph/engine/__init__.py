"""Compiled operations: graphql-core's repeated work for every request is done once for a document's text.

The answers equal Strawberry's exactly, including errors; Strawberry executes what is not compilable. It imports nothing
of ours: the compiler's dependencies on the application are passed in as EngineHooks.
"""
