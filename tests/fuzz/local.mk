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

EXTRA_PROGRAMS += tests/fuzz/fuzz_message_json
check_PROGRAMS += tests/fuzz/replay_message_json
tests_fuzz_fuzz_message_json_SOURCES = tests/fuzz/fuzz_message_json.c tests/fuzz/fuzz.h src/cli/message_json.c
tests_fuzz_fuzz_message_json_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_message_json_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_message_json_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_message_json_SOURCES)
tests_fuzz_replay_message_json_LDADD = $(LINKSPAN_LIBS)

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

EXTRA_PROGRAMS += tests/fuzz/fuzz_http
check_PROGRAMS += tests/fuzz/replay_http
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_http_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_http_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_http_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_http_SOURCES)
tests_fuzz_replay_http_LDADD = $(LINKSPAN_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_config
check_PROGRAMS += tests/fuzz/replay_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_config_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_config_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_config_SOURCES)
tests_fuzz_replay_config_LDADD = $(LINKSPAN_LIBS)

# The whole MQTT link over a played network: wire.c takes the place of connectors/mqtt/transport.c, and the linker puts
# the model between the link and its halves.
SESSION_WRAP = -Wl,--wrap=mqtt_source_publish,--wrap=mqtt_source_unusable,--wrap=mqtt_source_released \
	-Wl,--wrap=mqtt_sink_up,--wrap=mqtt_sink_acked,--wrap=qos2_in_publish
EXTRA_PROGRAMS += tests/fuzz/fuzz_mqtt_session
check_PROGRAMS += tests/fuzz/replay_mqtt_session
tests_fuzz_fuzz_mqtt_session_SOURCES = tests/fuzz/fuzz_mqtt_session.c tests/fuzz/fuzz.h tests/fuzz/session/model.c \
	tests/fuzz/session/model.h tests/fuzz/session/model_broker.c tests/fuzz/session/wire.c tests/fuzz/session/wire.h
tests_fuzz_fuzz_mqtt_session_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_mqtt_session_LDFLAGS = $(AM_LDFLAGS) $(SESSION_WRAP) $(FUZZ_LDFLAGS)
tests_fuzz_replay_mqtt_session_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_mqtt_session_SOURCES)
tests_fuzz_replay_mqtt_session_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_replay_mqtt_session_LDFLAGS = $(AM_LDFLAGS) $(SESSION_WRAP)

# The CoAP listener with real sockets and clocks that stand still: the linker puts coap/play.c between the connector, libuv's
# loop and libcoap's contexts.
COAP_CLIENT_WRAP = -Wl,--wrap=loop_uv,--wrap=coap_new_context,--wrap=coap_free_context
COAP_WRAP = $(COAP_CLIENT_WRAP) -Wl,--wrap=dedupe_new,--wrap=rate_new
EXTRA_PROGRAMS += tests/fuzz/fuzz_coap
check_PROGRAMS += tests/fuzz/replay_coap
tests_fuzz_fuzz_coap_SOURCES = tests/fuzz/fuzz_coap.c tests/fuzz/fuzz.h tests/fuzz/coap/model.c tests/fuzz/coap/model.h \
	tests/fuzz/coap/play.c tests/fuzz/coap/play.h
tests_fuzz_fuzz_coap_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_coap_LDFLAGS = $(AM_LDFLAGS) $(COAP_WRAP) $(FUZZ_LDFLAGS)
tests_fuzz_replay_coap_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_coap_SOURCES)
tests_fuzz_replay_coap_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_replay_coap_LDFLAGS = $(AM_LDFLAGS) $(COAP_WRAP)

# The CoAP client, likewise.
EXTRA_PROGRAMS += tests/fuzz/fuzz_coap_client
check_PROGRAMS += tests/fuzz/replay_coap_client
tests_fuzz_fuzz_coap_client_SOURCES = tests/fuzz/fuzz_coap_client.c tests/fuzz/fuzz.h tests/fuzz/coap/play.c tests/fuzz/coap/play.h
tests_fuzz_fuzz_coap_client_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_coap_client_LDFLAGS = $(AM_LDFLAGS) $(COAP_CLIENT_WRAP) $(FUZZ_LDFLAGS)
tests_fuzz_replay_coap_client_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_coap_client_SOURCES)
tests_fuzz_replay_coap_client_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_replay_coap_client_LDFLAGS = $(AM_LDFLAGS) $(COAP_CLIENT_WRAP)

EXTRA_PROGRAMS += tests/fuzz/fuzz_format
check_PROGRAMS += tests/fuzz/replay_format
tests_fuzz_fuzz_format_SOURCES = tests/fuzz/fuzz_format.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_format_LDADD = $(LINKSPAN_LIBS)
tests_fuzz_fuzz_format_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_replay_format_SOURCES = tests/fuzz/replay.c $(tests_fuzz_fuzz_format_SOURCES)
tests_fuzz_replay_format_LDADD = $(LINKSPAN_LIBS)
