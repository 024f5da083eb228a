"""Operations compiled: what graphql-core works out again for every request is worked out once for a document's text.

The answers are Strawberry's to the byte, errors too; Strawberry runs what is not compilable. Nothing of ours is
imported: what the compiler needs of the application comes as EngineHooks.
"""
