"""The server's end: the first signal lets open requests finish, a second one ends the process at once."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

logger = logging.getLogger("asli")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """A uvicorn server that ends with the status of a signal and without a traceback.

    uvicorn raises the signals it caught again inside its event loop, where a second one ends in a traceback.
    """

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal; the first one takes its usual effect afterwards.

        Raises:
            KeyboardInterrupt: It was SIGINT.
        """
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            super().run(sockets)
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in before.items():
                    signal.signal(number, handler)
        if self._captured_signals:
            signal.raise_signal(self._captured_signals[0])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch signals from here on; `run` gives them back."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at a second signal leave at once: the server keeps nothing that could be lost."""
        if self._captured_signals:
            if sig == signal.SIGINT:
                os._exit(130)
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._captured_signals.append(sig)
        self.should_exit = True
        if self.server_state.tasks:
            logger.info("stopping after the open requests; a second signal stops at once")
