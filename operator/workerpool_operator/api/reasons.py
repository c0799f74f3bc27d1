"""Reasons in conditions and events: words for programs, each with what it means."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a condition has its status, or what an event tells."""

    # Ready
    ALL_READY = "AllReady"
    """As many workers as wanted are ready, in the wanted version."""
    SCALED_TO_ZERO = "ScaledToZero"
    """There is no work, so there are no workers; jobs that arrive wake the pool."""
    WORKERS_STARTING = "WorkersStarting"
    """Workers have been asked for and are not ready yet."""
    NO_WORKERS = "NoWorkers"
    """Workers are wanted and not one is ready."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """A node cannot fetch the worker's image: wrong name, or no credentials for the registry."""
    CRASH_LOOPING = "CrashLooping"
    """Workers end again and again shortly after their start."""
    UNSCHEDULABLE = "Unschedulable"
    """No node has room for a worker, or none matches its selectors."""
    CONFIG_MISSING = "ConfigMissing"
    """A Secret, ConfigMap or volume that the worker names is not there."""

    # Progressing
    STEADY = "Steady"
    """Size and version are as wanted."""
    SCALING = "Scaling"
    """The pool is on its way to another size."""
    VERSION_CHANGE = "VersionChange"
    """Workers of a new version or revision take over from the old ones."""
    DRAINING = "Draining"
    """Workers that are no longer wanted finish their jobs."""
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """Workers that were asked for have not become ready for ten minutes."""

    # ScalingActive
    ACTIVE = "Active"
    """The size follows the queues."""
    MANUAL = "Manual"
    """The size is spec.replicas; nothing else changes it."""
    SAMPLES_STALE = "SamplesStale"
    """The queues have not been read for too long: the size is held."""
    NO_SAMPLE_YET = "NoSampleYet"
    """The queues have not been read since the pool or the operator started: the size is held."""
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    """The pool's HPA cannot be made, cannot read the wanted number, or cannot write spec.replicas: the size is held."""
    METRICS_DISAGREE = "MetricsDisagree"
    """spec.replicas does not follow what the queues ask for: the HPA reads the metric from somewhere else than this
    operator, or nobody runs the HPA. No running worker is given up for it."""
    COLLECTOR_DOWN = "CollectorDown"
    """The namespace's collector is not connected: the size is held."""

    # QueueReachable: the six ways in which a queue cannot be read, as the collector names them
    SAMPLES_FRESH = "SamplesFresh"
    """All queues have just been read."""
    UNREACHABLE = "Unreachable"
    """The broker's name does not resolve, it refuses the connection, or does not answer in time."""
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    """The broker refused the credentials, or wants some and none are given."""
    CREDENTIALS_MISSING = "CredentialsMissing"
    """A Secret key that the pool names is not there."""
    TLS_FAILED = "TLSFailed"
    """The broker's certificate could not be verified, or TLS could not be set up."""
    QUEUE_NOT_FOUND = "QueueNotFound"
    """The broker has no such queue, and none can be made."""
    BAD_ANSWER = "BadAnswer"
    """The broker answered something that makes no sense as a depth."""

    # Monitored
    PROMETHEUS_RULE_APPLIED = "PrometheusRuleApplied"
    """The pool's PrometheusRule is there. Whether a Prometheus reads it is decided by its labels."""
    PROMETHEUS_RULE_KIND_MISSING = "PrometheusRuleKindMissing"
    """The cluster does not know the kind PrometheusRule, so the pool has no alerts; all else works."""
    ALERTS_DISABLED = "AlertsDisabled"
    """The pool wants no alerts."""

    # Stalled
    NOT_STALLED = "NotStalled"
    """Workers take what waits for them, and nothing waits for a person."""
    WORKERS_STUCK = "WorkersStuck"
    """Workers live and take no job, although jobs wait for them and others take some: they are restarted, one at a
    time."""
    ALL_WORKERS_STUCK = "AllWorkersStuck"
    """Jobs wait, and no worker begins any, although there is room and none says why. One worker is restarted, and
    another every ten minutes as long as that does not help."""
    INVALID_SPEC = "InvalidSpec"
    """This version of the operator does not understand the resource."""
    RENDER_ERROR = "RenderError"
    """No valid pod can be made of the resource."""
    APPLY_REFUSED = "ApplyRefused"
    """The API server refused an object of the pool."""
    FORBIDDEN = "Forbidden"
    """The operator lacks the rights to write an object of the pool."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A quota of the namespace does not let more workers in."""

    # Events only
    SCALED_UP = "ScaledUp"
    """Workers were added."""
    SCALED_DOWN = "ScaledDown"
    """Workers were taken away."""
    VERSION_CREATED = "VersionCreated"
    """A new version or revision of the workers was made."""
    VERSION_REMOVED = "VersionRemoved"
    """A version or revision without workers was removed."""
    VICTIM_MISMATCH = "VictimMismatch"
    """Kubernetes removed another worker than the one that was chosen."""
    DRIFT_CORRECTED = "DriftCorrected"
    """Somebody changed or deleted an object of the pool; it was put back."""
    WORKER_RESTARTED = "WorkerRestarted"
    """A worker that took no jobs was deleted, so that another takes its place."""


class Limiter(StrEnum):
    """What kept the size from being what the work asked for (`status.scaling.limitedBy`)."""

    MIN_REPLICAS = "minReplicas"
    """Raised to scaling.minReplicas."""
    MAX_REPLICAS = "maxReplicas"
    """Lowered to scaling.maxReplicas."""
    COOLDOWN = "cooldown"
    """Kept above 0 until all queues have been empty for scaling.cooldownSeconds."""
    STABILIZATION = "stabilization"
    """Kept because the work asked for it moments ago."""
    BUSY = "busy"
    """Kept because the surplus workers have jobs that do not end in time."""
    HPA = "hpa"
    """As far as the HPA has followed, one of its periods behind at most."""
    STALE = "stale"
    """Held because the queues cannot be read."""
