# SPDX-License-Identifier: Apache-2.0
"""All fuzz targets by name."""

from tests.fuzz import service_targets, verifier_targets

TARGETS = {target.name: target for target in (*service_targets.TARGETS, *verifier_targets.TARGETS)}
