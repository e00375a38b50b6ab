# SPDX-License-Identifier: Apache-2.0
# The connector conformance suite, one program per kind of peer; and the fake host, which unit tests of connectors use too.
noinst_LIBRARIES += libconformance.a
libconformance_a_SOURCES = \
	tests/conformance/fake_host.c \
	tests/conformance/fake_host.h \
	tests/conformance/fake_memory.c \
	tests/conformance/fake_memory.h \
	tests/conformance/fake_waits.c \
	tests/conformance/kafka_source_peer.c \
	tests/conformance/kafka_source_peer.h \
	tests/conformance/kafka_tools.c \
	tests/conformance/kafka_tools.h \
	tests/conformance/mqtt_peer.c \
	tests/conformance/mqtt_peer.h \
	tests/conformance/peer.h \
	tests/conformance/proxy.c \
	tests/conformance/proxy.h \
	tests/conformance/suite.c \
	tests/conformance/suite.h \
	tests/conformance/suite_life.c \
	tests/conformance/suite_sink.c \
	tests/conformance/suite_source.c
EXTRA_DIST += tests/conformance/README.md

CONFORMANCE_LIBS = libconformance.a $(TEST_LIBS)
check_PROGRAMS += tests/conformance/test_kafka_group tests/conformance/test_kafka_mock tests/conformance/test_kafka_source \
	tests/conformance/test_kafka tests/conformance/test_kafka_refusals tests/conformance/test_http_batches \
	tests/conformance/test_http_out tests/conformance/test_mqtt tests/conformance/test_mqtt_311 \
	tests/conformance/test_mqtt_qos2
check_PROGRAMS += tests/conformance/test_coap_in
tests_conformance_test_coap_in_SOURCES = tests/conformance/test_coap_in.c
tests_conformance_test_coap_in_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_coap_in_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=dedupe_new
check_PROGRAMS += tests/conformance/test_coap_out
tests_conformance_test_coap_out_SOURCES = tests/conformance/test_coap_out.c tests/conformance/coap_device.c tests/conformance/coap_device.h
tests_conformance_test_coap_out_LDADD = $(CONFORMANCE_LIBS)
check_PROGRAMS += tests/conformance/test_coap_out_cases
tests_conformance_test_coap_out_cases_SOURCES = tests/conformance/test_coap_out_cases.c tests/conformance/coap_device.c tests/conformance/coap_device.h
tests_conformance_test_coap_out_cases_LDADD = $(CONFORMANCE_LIBS)
check_PROGRAMS += tests/conformance/test_coap_out_secure
tests_conformance_test_coap_out_secure_SOURCES = tests/conformance/test_coap_out_secure.c
tests_conformance_test_coap_out_secure_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_http_batches_SOURCES = tests/conformance/test_http_batches.c
tests_conformance_test_http_batches_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_http_out_SOURCES = tests/conformance/test_http_out.c
tests_conformance_test_http_out_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_kafka_SOURCES = tests/conformance/test_kafka.c
tests_conformance_test_kafka_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_kafka_mock_SOURCES = tests/conformance/test_kafka_mock.c
tests_conformance_test_kafka_mock_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_kafka_group_SOURCES = tests/conformance/test_kafka_group.c
tests_conformance_test_kafka_group_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_kafka_source_SOURCES = tests/conformance/test_kafka_source.c
tests_conformance_test_kafka_source_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_mqtt_SOURCES = tests/conformance/test_mqtt.c
tests_conformance_test_mqtt_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_mqtt_311_SOURCES = tests/conformance/test_mqtt_311.c
tests_conformance_test_mqtt_311_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_mqtt_qos2_SOURCES = tests/conformance/test_mqtt_qos2.c
tests_conformance_test_mqtt_qos2_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_kafka_refusals_SOURCES = tests/conformance/test_kafka_refusals.c
tests_conformance_test_kafka_refusals_LDADD = $(CONFORMANCE_LIBS)
if HAVE_PAHO
check_PROGRAMS += tests/conformance/test_mqtt_paho tests/conformance/test_mqtt_websocket
tests_conformance_test_mqtt_paho_SOURCES = tests/conformance/test_mqtt_paho.c
tests_conformance_test_mqtt_paho_LDADD = $(CONFORMANCE_LIBS)
tests_conformance_test_mqtt_websocket_SOURCES = tests/conformance/test_mqtt_websocket.c
tests_conformance_test_mqtt_websocket_LDADD = $(CONFORMANCE_LIBS)
endif
