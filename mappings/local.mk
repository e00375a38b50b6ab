# SPDX-License-Identifier: Apache-2.0
# What `include: [NAME]` finds; see src/config/load_include.c.
mappingsdir = $(pkgdatadir)/mappings
dist_mappings_DATA = mappings/README.md mappings/homeassistant-state.yaml mappings/homeassistant.yaml mappings/shelly-gen1.yaml \
	mappings/shelly-gen2.yaml mappings/tasmota.yaml mappings/thingsboard-device.yaml mappings/thingsboard.yaml \
	mappings/zigbee2mqtt.yaml
