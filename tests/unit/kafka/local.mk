# SPDX-License-Identifier: Apache-2.0
kafka_complaints = tests/unit/kafka/complaints.c tests/unit/kafka/complaints.h
check_PROGRAMS += tests/unit/kafka/test_exact
tests_unit_kafka_test_exact_SOURCES = tests/unit/kafka/test_exact.c tests/unit/kafka/exact_scene.c \
	tests/unit/kafka/exact_scene.h $(kafka_complaints)
tests_unit_kafka_test_exact_LDADD = libconformance.a $(TEST_LIBS)
check_PROGRAMS += tests/unit/kafka/test_settings tests/unit/kafka/test_verdict tests/unit/kafka/test_link \
	tests/unit/kafka/test_naming tests/unit/kafka/test_timestamp
check_PROGRAMS += tests/unit/kafka/test_scram tests/unit/kafka/test_diagnosis
check_PROGRAMS += tests/unit/kafka/test_headers tests/unit/kafka/test_record
tests_unit_kafka_test_settings_SOURCES = tests/unit/kafka/test_settings.c $(kafka_complaints)
tests_unit_kafka_test_settings_LDADD = libconformance.a $(TEST_LIBS)
tests_unit_kafka_test_verdict_SOURCES = tests/unit/kafka/test_verdict.c
tests_unit_kafka_test_verdict_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_link_SOURCES = tests/unit/kafka/test_link.c $(kafka_complaints)
tests_unit_kafka_test_link_LDADD = libconformance.a $(TEST_LIBS)
tests_unit_kafka_test_naming_SOURCES = tests/unit/kafka/test_naming.c tests/unit/routing/a_config.c tests/unit/routing/a_config.h
tests_unit_kafka_test_naming_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_timestamp_SOURCES = tests/unit/kafka/test_timestamp.c
tests_unit_kafka_test_timestamp_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_headers_SOURCES = tests/unit/kafka/test_headers.c
tests_unit_kafka_test_headers_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_record_SOURCES = tests/unit/kafka/test_record.c
tests_unit_kafka_test_record_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_diagnosis_SOURCES = tests/unit/kafka/test_diagnosis.c
tests_unit_kafka_test_diagnosis_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_scram_SOURCES = tests/unit/kafka/test_scram.c
tests_unit_kafka_test_scram_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/kafka/test_consumer_conf tests/unit/kafka/test_convert tests/unit/kafka/test_from tests/unit/kafka/test_handover \
	tests/unit/kafka/test_partitions tests/unit/kafka/test_source
tests_unit_kafka_test_convert_SOURCES = tests/unit/kafka/test_convert.c
tests_unit_kafka_test_convert_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_from_SOURCES = tests/unit/kafka/test_from.c
tests_unit_kafka_test_from_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_handover_SOURCES = tests/unit/kafka/test_handover.c
tests_unit_kafka_test_handover_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_partitions_SOURCES = tests/unit/kafka/test_partitions.c
tests_unit_kafka_test_partitions_LDADD = $(TEST_LIBS)
tests_unit_kafka_test_source_SOURCES = tests/unit/kafka/test_source.c
tests_unit_kafka_test_source_LDADD = libconformance.a $(TEST_LIBS)
tests_unit_kafka_test_consumer_conf_SOURCES = tests/unit/kafka/test_consumer_conf.c $(kafka_complaints)
tests_unit_kafka_test_consumer_conf_LDADD = libconformance.a $(TEST_LIBS)
# With a worker of its own instead of exact_worker.c's.
check_PROGRAMS += tests/unit/kafka/test_exact_loop
tests_unit_kafka_test_exact_loop_SOURCES = tests/unit/kafka/test_exact_loop.c
tests_unit_kafka_test_exact_loop_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/kafka/test_cursor
tests_unit_kafka_test_cursor_SOURCES = tests/unit/kafka/test_cursor.c
tests_unit_kafka_test_cursor_LDADD = $(TEST_LIBS)
