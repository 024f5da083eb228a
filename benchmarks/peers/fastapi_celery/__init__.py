"""FastAPI, SQLAlchemy and Celery."""
