"""Programs that run on new files: rules say which, jobs say what became of each, publishing brings out the results.

Owns: rules, the table of jobs, the runners' side of a job, the transaction that publishes.
May import: sqlalchemy, protocol, blocks.contract, blocks.runners, server.spaces and the rooms below it.

What names a person stays in its intake: of a block's outputs only those pass whose verdict is `released`, or that a
person released after looking at these very bytes.
"""
