# Two stages: the first builds the wheel and the environment, the second holds only what runs.
FROM python:3.13-slim AS build

WORKDIR /build
COPY .ci/build-requirements.lock requirements.lock ./
RUN python -m venv /opt/fillwire \
    && python -m venv /opt/build-tools \
    && /opt/build-tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r build-requirements.lock \
    && /opt/fillwire/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY broadcast broadcast
COPY db db
COPY domain domain
COPY exchange exchange
COPY graph graph
COPY ingest ingest
COPY jobs jobs
COPY runtime runtime
# By the pinned tools themselves: pip would fetch newer ones for the build.
RUN /opt/build-tools/bin/python -m hatchling build --target wheel --directory dist \
    && /opt/fillwire/bin/pip install --no-cache-dir --no-index --no-deps dist/*.whl

FROM python:3.13-slim

RUN groupadd --gid 10001 fillwire \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin fillwire
COPY --from=build /opt/fillwire /opt/fillwire

ENV PATH=/opt/fillwire/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /opt/fillwire

ENTRYPOINT ["fillwire"]
CMD ["api"]
