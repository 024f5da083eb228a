"""uvicorn with bounds: connections, requests, websockets, listening, draining."""
