"""What waits on a node in place of one of Ray's agents, and becomes that agent when somebody calls it.

Ray is up when its agents are, each a Python process that imports for half a second of a core, and cells call none.
Runs as ``idle_agent.py HOST PORT COMMAND OF THE AGENT``, with port 0 for one that nobody calls; knows nothing of Ray.
"""

from __future__ import annotations

import os
import select
import socket
import sys


def wait_for_a_call(host: str, port: int) -> bool:
    """Whether somebody called before the process that started this one ended, which is looked for each second.

    The call itself is refused: who calls an agent tries again until it answers.
    """
    parent, listeners = os.getppid(), [socket.create_server((host, port))] if port else []
    while os.getppid() == parent:
        if select.select(listeners, [], [], 1.0)[0]:
            listeners[0].close()
            return True
    return False


if __name__ == "__main__" and wait_for_a_call(sys.argv[1], int(sys.argv[2])):
    os.execv(sys.argv[3], sys.argv[3:])
