# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ESPnet's language model task, trained as carefully as the recogniser."""

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.task.checked import CheckedTask

with espnet_imports():
    from espnet2.tasks.lm import LMTask


class DynlookLMTask(CheckedTask, LMTask):
    """ESPnet's LM task with the plugin's trainer and checks."""
