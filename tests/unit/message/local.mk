# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/message/test_buffer
tests_unit_message_test_buffer_SOURCES = tests/unit/message/test_buffer.c
tests_unit_message_test_buffer_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/message/test_message
tests_unit_message_test_message_SOURCES = tests/unit/message/test_message.c
tests_unit_message_test_message_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/message/test_utf8
tests_unit_message_test_utf8_SOURCES = tests/unit/message/test_utf8.c
tests_unit_message_test_utf8_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/message/test_markers
tests_unit_message_test_markers_SOURCES = tests/unit/message/test_markers.c
tests_unit_message_test_markers_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/message/test_siphash
tests_unit_message_test_siphash_SOURCES = tests/unit/message/test_siphash.c
tests_unit_message_test_siphash_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/message/test_base64
tests_unit_message_test_base64_SOURCES = tests/unit/message/test_base64.c
tests_unit_message_test_base64_LDADD = $(TEST_LIBS)
