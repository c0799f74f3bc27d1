"""The page: pools in a browser, with the rights of whoever looks.

`server` serves it on the user's own machine, where `guard` judges what comes in and `browse` opens the browser; `gate`
in the cluster, where each request brings its user's token and `visitors` keeps their looks apart; `home` has the words
in which these two differ. `site` has the pages of one user: what is known of the cluster is kept by `hub`, and by a
`room` for each pool that somebody looks at; `board`, `views`, `places`, `series` and `chart` turn it into what is
shown, pure; `stream` sends what has changed to the browser, and `logtail` what workers write; `verbs` are the buttons.
Nothing here decides about a pool.
"""
