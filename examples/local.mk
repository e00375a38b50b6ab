# SPDX-License-Identifier: Apache-2.0
nobase_dist_doc_DATA += examples/constrained-sensors/README.md examples/constrained-sensors/linkspan.yaml \
	examples/fewer-messages/README.md examples/fewer-messages/linkspan.yaml \
	examples/scada-to-kafka/README.md examples/scada-to-kafka/linkspan.yaml \
	examples/scada-to-kafka/plant.py examples/edge-to-cloud/README.md examples/edge-to-cloud/linkspan.yaml \
	examples/edge-to-cloud/websocket.yaml examples/gaps/README.md examples/gaps/check_markers.py examples/gaps/linkspan.yaml \
	examples/kafka-to-mqtt/README.md examples/kafka-to-mqtt/linkspan.yaml \
	examples/notifications/README.md examples/notifications/linkspan.yaml \
	examples/webhooks-in/README.md examples/webhooks-in/linkspan.yaml \
	examples/smart-home-webhooks/README.md examples/smart-home-webhooks/linkspan.yaml examples/smart-home-webhooks/receiver.py
EXTRA_DIST += examples/quickstart.sh examples/fewer-messages/show.py examples/constrained-sensors/sensors.py examples/constrained-sensors/show.py examples/edge-to-cloud/show.py examples/kafka-to-mqtt/show.py \
	examples/scada-to-kafka/show.py examples/smart-home-webhooks/home.py examples/smart-home-webhooks/show.py examples/systemd/linkspan.service.in examples/systemd/linkspan@.service.in

# The units find linkspan where it is installed. Elsewhere than in /usr and /usr/local say --with-systemdsystemunitdir.
UNITS = examples/systemd/linkspan.service examples/systemd/linkspan@.service
if HAVE_UNIT_FOLDER
systemdsystemunitdir = $(SYSTEMD_UNIT_FOLDER)
nodist_systemdsystemunit_DATA = $(UNITS)
endif
CLEANFILES += $(UNITS)
$(UNITS): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) examples/systemd && \
		sed 's|@bindir[@]|$(bindir)|g' $< >$@.new && mv $@.new $@
