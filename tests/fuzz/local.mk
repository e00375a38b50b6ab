# SPDX-License-Identifier: Apache-2.0
# Fuzzing. A target NAME is a file fuzz_NAME.c, first inputs in corpus/NAME/, and two programs: fuzz_NAME with libFuzzer,
# which only tests/fuzz/run.sh builds, and replay_NAME, by which `make check` runs the corpus. To add one: the file, a
# folder of inputs, and a block as below.
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/corpus

EXTRA_PROGRAMS += tests/fuzz/fuzz_mqtt_codec
check_PROGRAMS += tests/fuzz/replay_mqtt_codec
tests_fuzz_fuzz_mqtt_codec_SOURCES = tests/fuzz/fuzz_mqtt_codec.c tests/fuzz/fuzz.h tests/unit/mqtt/codec_samples.c
tests_fuzz_fuzz_mqtt_codec_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_mqtt_codec_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_mqtt_codec_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_mqtt_codec_SOURCES)
tests_fuzz_replay_mqtt_codec_LDADD = $(LINKSPAN_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_message
check_PROGRAMS += tests/fuzz/replay_message
tests_fuzz_fuzz_message_SOURCES = tests/fuzz/fuzz_message.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_message_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_message_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_message_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_message_SOURCES)
tests_fuzz_replay_message_LDADD = $(LINKSPAN_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_topic_filter
check_PROGRAMS += tests/fuzz/replay_topic_filter
tests_fuzz_fuzz_topic_filter_SOURCES = tests/fuzz/fuzz_topic_filter.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_topic_filter_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_topic_filter_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_topic_filter_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_topic_filter_SOURCES)
tests_fuzz_replay_topic_filter_LDADD = $(LINKSPAN_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_template
check_PROGRAMS += tests/fuzz/replay_template
tests_fuzz_fuzz_template_SOURCES = tests/fuzz/fuzz_template.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_template_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_template_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_template_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_template_SOURCES)
tests_fuzz_replay_template_LDADD = $(LINKSPAN_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_config
check_PROGRAMS += tests/fuzz/replay_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_config_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_config_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_config_SOURCES)
tests_fuzz_replay_config_LDADD = $(LINKSPAN_LIBS)
