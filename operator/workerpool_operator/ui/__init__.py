"""The page: pools in a browser, served on the user's own machine with the user's own rights.

`server` puts it together. What comes in is judged by `guard`; what is known of the cluster is kept by `hub`, and by a
`room` for each pool that somebody looks at; `board`, `views`, `series` and `chart` turn it into what is shown, pure;
`stream` sends what has changed to the browser; `verbs` are the buttons. Nothing here decides about a pool.
"""
