# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += examples/quickstart.sh examples/scada-to-kafka/README.md examples/scada-to-kafka/linkspan.yaml \
	examples/scada-to-kafka/plant.py examples/scada-to-kafka/show.py
