# SPDX-License-Identifier: Apache-2.0
"""All fuzz targets by name."""

from tests.fuzz import export_targets, service_targets, verifier_targets

SIDES = (service_targets, verifier_targets, export_targets)
TARGETS = {target.name: target for side in SIDES for target in side.TARGETS}
