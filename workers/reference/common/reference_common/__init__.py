"""What the reference workers share.

| Module | Holds |
|---|---|
| `web` | downloads: one pool of connections, robots.txt obeyed, sizes bounded |
| `blobs` | the store of large data, which jobs name instead of carrying it |
| `standin` | a server to try the workers with: store, site and receiver of calls in one |
"""
