# The operator and the collector in one image: `python -m workerpool_operator` and
# `python -m workerpool_operator.collector`. Nothing here needs BuildKit, so buildah and old Dockers build it too.
#
# BASE may be any image with Python 3.11 to 3.14 and its venv module as `python3`.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS dependencies
# An index or proxy other than the default is passed as a build argument; pip reads them from its environment.
ARG PIP_INDEX_URL
COPY requirements.lock /build/requirements.lock
# The environment itself holds no pip. Byte code is made once, here, since the root file system is read-only later;
# but for the Kubernetes client's 1,500 models, which are imported lazily, if at all, and would add 50 MB. Its classes of
# the APIs, 54 MB, are not used: the operator writes its requests itself.
RUN python3 -m venv /build/pip \
 && python3 -m venv --without-pip /opt/venv \
 && /build/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps \
        --disable-pip-version-check --require-hashes --requirement /build/requirements.lock \
 && find /opt/venv/lib -path '*/kubernetes/*client/api/*_api.py' -delete \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -x '/kubernetes/(aio/)?client/models/' /opt/venv/lib

FROM ${BASE}
# USER: kopf asks who it runs as, and no base image knows the uid below (nor one that a platform may choose instead).
ENV USER=workerpool \
    PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=dependencies /opt/venv /opt/venv
COPY workers/src /app
COPY operator /app
# The official images hold no byte code of the standard library: without the second command each start would compile
# all that it loads of it, and a namespace's first pool waits for its collector.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app \
 && PYTHONDONTWRITEBYTECODE= python -c "import workerpool_operator.__main__, workerpool_operator.collector.__main__, \
        workerpool_operator.metrics_api.__main__, workerpool.redis"
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python", "-m", "workerpool_operator"]
LABEL org.opencontainers.image.title="workerpool-operator" \
      org.opencontainers.image.description="Queue workers on Kubernetes: operator and collector" \
      org.opencontainers.image.licenses="Apache-2.0"
