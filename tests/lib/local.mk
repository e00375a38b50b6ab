# SPDX-License-Identifier: Apache-2.0
# What integration tests, the crash campaign and the examples share. Nothing here is compiled.
EXTRA_DIST += tests/lib/install.sh tests/lib/shell.sh tests/lib/kafka/pom.xml tests/lib/with-brokers.py \
	tests/lib/test_rig.py tests/lib/rig/__init__.py tests/lib/rig/certificates.py tests/lib/rig/check.py \
	tests/lib/rig/daemon.py tests/lib/rig/fixtures.py tests/lib/rig/kafka.py tests/lib/rig/mosquitto.py \
	tests/lib/rig/mqtt.py tests/lib/rig/process.py tests/lib/rig/proxy.py tests/lib/rig/tap.py tests/lib/rig/wait.py
EXTRA_DIST += tests/lib/lint_source.py tests/lint.sh .clang-format .clang-tidy

.PHONY: lint
lint:
	$(srcdir)/tests/lint.sh
EXTRA_DIST += \
	tests/run.sh \
	.ci/run \
	tests/crash/coap.sh \
	tests/crash/coap_campaign.py \
	tests/crash/http.sh \
	tests/crash/http_campaign.py \
	tests/crash/kafka.py \
	tests/crash/kafka.sh \
	tests/crash/kill.py \
	tests/crash/kill.sh \
	tests/crash/outbox.py \
	tests/crash/outbox.sh \
	tests/crash/points.py \
	tests/crash/qos2.py \
	tests/crash/qos2.sh \
	tests/crash/reload.sh \
	tests/crash/reload_campaign.py \
	tests/integration/_path.py \
	tests/integration/abandoned.py \
	tests/integration/abuse.py \
	tests/integration/clocks.py \
	tests/integration/coap_field.py \
	tests/integration/coap_in.py \
	tests/integration/coap_out.py \
	tests/integration/coap_plugtest.py \
	tests/integration/completion.py \
	tests/integration/connect.py \
	tests/integration/dead_webhook.py \
	tests/integration/editor.py \
	tests/integration/examples.py \
	tests/integration/field_bugs.py \
	tests/integration/flow.py \
	tests/integration/interop.py \
	tests/integration/kafka_security.py \
	tests/integration/life.py \
	tests/integration/loops.py \
	tests/integration/outages.py \
	tests/integration/pressure.py \
	tests/integration/rules.py \
	tests/integration/subscriptions.py \
	tests/integration/webhooks_field.py \
	tests/integration/websockets.py \
	tests/lib/aedes/broker.js \
	tests/lib/aedes/package-lock.json \
	tests/lib/aedes/package.json \
	tests/lib/aiocoap/requirements.txt \
	tests/lib/artemis/pom.xml \
	tests/lib/californium/CoapPeer.java \
	tests/lib/californium/pom.xml \
	tests/lib/go-coap/coap_peer.go \
	tests/lib/go-coap/go.mod \
	tests/lib/go-coap/go.sum \
	tests/lib/hivemq/OpenHiveMQ.java \
	tests/lib/hivemq/pom.xml \
	tests/lib/webhooks/requirements.txt \
	tests/lib/yaml-language-server/package-lock.json \
	tests/lib/yaml-language-server/package.json \
	tests/lib/yaml-language-server/validate.js \
	tests/lib/rig/brokers.py \
	tests/lib/rig/clock.py \
	tests/lib/rig/coap.py \
	tests/lib/rig/coap_aiocoap.py \
	tests/lib/rig/coap_californium.py \
	tests/lib/rig/coap_go.py \
	tests/lib/rig/coap_libcoap.py \
	tests/lib/rig/coap_line_peer.py \
	tests/lib/rig/coap_loop.py \
	tests/lib/rig/coap_peers.py \
	tests/lib/rig/coap_proxy.py \
	tests/lib/rig/coap_receivers.py \
	tests/lib/rig/coap_senders.py \
	tests/lib/rig/feed.py \
	tests/lib/rig/guarded_kafka.py \
	tests/lib/rig/http_proxy.py \
	tests/lib/rig/language_server.py \
	tests/lib/rig/mock_kafka.py \
	tests/lib/rig/number_broker.py \
	tests/lib/rig/poster.py \
	tests/lib/rig/qos2.py \
	tests/lib/rig/raw_http.py \
	tests/lib/rig/receiver.py \
	tests/lib/rig/webhook_libraries.py \
	tests/lib/rig/names.c \
	tests/lib/rig/names.py \
	tests/lib/rig/shift_clock.c \
	tests/lib/rig/token_server.py \
	tests/lib/rig/webhooks.py \
	tests/lib/rig/yaml.py

# Not built by `make`: only the quick start needs it, and only without an Apache Kafka.
EXTRA_PROGRAMS += tests/lib/mock_kafka
tests_lib_mock_kafka_SOURCES = tests/lib/mock_kafka.c
tests_lib_mock_kafka_LDADD = $(RDKAFKA_LIBS)
