"""What converters in Python share: typed parameters and their JSON Schema, the job, a `batch/v1`
Job and the reading of its status. Only the standard library. `src/component.py` puts it behind the
exports of the contract; everything else runs natively too, so tests need no WebAssembly.
"""
