# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Load a trained model, transcribe files, follow streams; with lists of names."""

from espnet_dynlook.recognizer.api import Recognizer
from espnet_dynlook.streaming.endpoint import Endpoint
from espnet_dynlook.streaming.streams import Stream, Streams
from espnet_dynlook.streaming.transcript import Partial, Result
from espnet_dynlook.streaming.words import Word

__all__ = ["Endpoint", "Partial", "Recognizer", "Result", "Stream", "Streams", "Word"]
