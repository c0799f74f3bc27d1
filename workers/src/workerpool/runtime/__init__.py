"""What happens between taking a job and settling it.

```
        Gate ── may anything be taken? (fence, drain)
          │
broker ─► Intake ─► InFlight ─► Execution ─► Settler ─► broker
   ▲        │           │           │            │
   │      Slots     LeaseKeeper   Stations    (batches)
   │    (Rotation)      │       (lanes: io, thread, cpu)
   └── Upkeep ──────────┘
Evidence ◄─ all of them ─► Health server (a thread)       LiveSettings ◄─ CollectorLink ─► Report
```

One event loop runs everything but the two HTTP servers and what runs in other lanes (`lanes`); `watchdog` looks after
it. `Engine` puts the parts together and drains them in order.
"""
