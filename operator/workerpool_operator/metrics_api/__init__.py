"""The process that answers HPAs: a child of the operator, which is too busy to answer within milliseconds itself.

Python runs one thread at a time, and a thread that wants to go on waits for whoever runs, who may have lost its core to
another process. So the answers are given by a process of their own, which shares nothing with the operator but a pair
of sockets: down it comes what an answer is made of (`messages.Update`, kept in a `mirror.Mirror`), up goes what the
operator's metrics count (`tally.Tally`). `__main__` is the process; `controller.external_metrics` starts it.

It is the operator's own program with the operator's own rights, and ends with it: the sockets close whatever the
operator dies of. It stays small: neither kopf nor pydantic nor anything that decides is imported here.
"""
