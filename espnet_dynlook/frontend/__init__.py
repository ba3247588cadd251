# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Front ends: from samples to feature frames, whole and piece by piece."""
