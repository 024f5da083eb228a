"""Operations compiled: what graphql-core works out again for every request is worked out once for a document's text.

The answers are Strawberry's to the byte, errors too; whatever is not covered is left to Strawberry.
"""
