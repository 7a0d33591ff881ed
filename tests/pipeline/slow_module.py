"""A module that takes long to import, like torch on a busy machine."""

import time

time.sleep(60)
