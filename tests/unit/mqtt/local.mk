# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/mqtt/test_codec
tests_unit_mqtt_test_codec_SOURCES = tests/unit/mqtt/test_codec.c tests/unit/mqtt/codec_samples.c \
	tests/unit/mqtt/codec_samples.h
tests_unit_mqtt_test_codec_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/mqtt/test_codec_malformed
tests_unit_mqtt_test_codec_malformed_SOURCES = tests/unit/mqtt/test_codec_malformed.c \
	tests/unit/mqtt/codec_samples.c tests/unit/mqtt/codec_samples.h
tests_unit_mqtt_test_codec_malformed_LDADD = $(TEST_LIBS)
