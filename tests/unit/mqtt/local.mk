# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/mqtt/test_codec
tests_unit_mqtt_test_codec_SOURCES = tests/unit/mqtt/test_codec.c tests/unit/mqtt/codec_samples.c \
	tests/unit/mqtt/codec_samples.h
tests_unit_mqtt_test_codec_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_codec_malformed
tests_unit_mqtt_test_codec_malformed_SOURCES = tests/unit/mqtt/test_codec_malformed.c \
	tests/unit/mqtt/codec_samples.c tests/unit/mqtt/codec_samples.h
tests_unit_mqtt_test_codec_malformed_LDADD = $(TEST_LIBS)

# The link, against a broker in the same process.
mqtt_rig = tests/unit/mqtt/rig.c tests/unit/mqtt/rig.h tests/unit/mqtt/fake_broker.c tests/unit/mqtt/fake_broker.h

check_PROGRAMS += tests/unit/mqtt/test_source
tests_unit_mqtt_test_source_SOURCES = tests/unit/mqtt/test_source.c $(mqtt_rig)
tests_unit_mqtt_test_source_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_sink
tests_unit_mqtt_test_sink_SOURCES = tests/unit/mqtt/test_sink.c $(mqtt_rig)
tests_unit_mqtt_test_sink_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_qos2_in
tests_unit_mqtt_test_qos2_in_SOURCES = tests/unit/mqtt/test_qos2_in.c $(mqtt_rig)
tests_unit_mqtt_test_qos2_in_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_qos2_out
tests_unit_mqtt_test_qos2_out_SOURCES = tests/unit/mqtt/test_qos2_out.c $(mqtt_rig)
tests_unit_mqtt_test_qos2_out_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_session
tests_unit_mqtt_test_session_SOURCES = tests/unit/mqtt/test_session.c $(mqtt_rig)
tests_unit_mqtt_test_session_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_terms
tests_unit_mqtt_test_terms_SOURCES = tests/unit/mqtt/test_terms.c $(mqtt_rig)
tests_unit_mqtt_test_terms_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_connect
tests_unit_mqtt_test_connect_SOURCES = tests/unit/mqtt/test_connect.c $(mqtt_rig)
tests_unit_mqtt_test_connect_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_subscriptions
tests_unit_mqtt_test_subscriptions_SOURCES = tests/unit/mqtt/test_subscriptions.c $(mqtt_rig)
tests_unit_mqtt_test_subscriptions_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_tls
tests_unit_mqtt_test_tls_SOURCES = tests/unit/mqtt/test_tls.c tests/unit/mqtt/certificates.c \
	tests/unit/mqtt/certificates.h $(mqtt_rig)
tests_unit_mqtt_test_tls_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_settings
tests_unit_mqtt_test_settings_SOURCES = tests/unit/mqtt/test_settings.c tests/unit/mqtt/certificates.c \
	tests/unit/mqtt/certificates.h
tests_unit_mqtt_test_settings_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_url
tests_unit_mqtt_test_url_SOURCES = tests/unit/mqtt/test_url.c
tests_unit_mqtt_test_url_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_from
tests_unit_mqtt_test_from_SOURCES = tests/unit/mqtt/test_from.c
tests_unit_mqtt_test_from_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_filter_set
tests_unit_mqtt_test_filter_set_SOURCES = tests/unit/mqtt/test_filter_set.c
tests_unit_mqtt_test_filter_set_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_reconnect
tests_unit_mqtt_test_reconnect_SOURCES = tests/unit/mqtt/test_reconnect.c
tests_unit_mqtt_test_reconnect_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_addresses
tests_unit_mqtt_test_addresses_SOURCES = tests/unit/mqtt/test_addresses.c
tests_unit_mqtt_test_addresses_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_topic_alias
tests_unit_mqtt_test_topic_alias_SOURCES = tests/unit/mqtt/test_topic_alias.c $(mqtt_rig)
tests_unit_mqtt_test_topic_alias_LDADD = $(TEST_LIBS)

if HAVE_PAHO
check_PROGRAMS += tests/unit/mqtt/test_paho
tests_unit_mqtt_test_paho_SOURCES = tests/unit/mqtt/test_paho.c $(mqtt_rig)
tests_unit_mqtt_test_paho_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_relay
tests_unit_mqtt_test_relay_SOURCES = tests/unit/mqtt/test_relay.c
tests_unit_mqtt_test_relay_LDADD = $(TEST_LIBS)
endif

check_PROGRAMS += tests/unit/mqtt/test_convert
tests_unit_mqtt_test_convert_SOURCES = tests/unit/mqtt/test_convert.c
tests_unit_mqtt_test_convert_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_proxy
tests_unit_mqtt_test_proxy_SOURCES = tests/unit/mqtt/test_proxy.c
tests_unit_mqtt_test_proxy_LDADD = $(TEST_LIBS)
