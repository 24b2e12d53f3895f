/* test_json: what is written is what a strict reader reads. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/json.h"
#include "base/own.h"

static void write_sample(struct json *j)
{
    json_open_object(j);
    json_key_str(j, "name", "a\"b\\c\n\x01\x7f/\xc3\xa4");
    json_key_u64(j, "big", UINT64_MAX);
    json_key_i64(j, "low", INT64_MIN);
    json_key(j, "list");
    json_open_array(j);
    json_add_bool(j, true);
    json_add_null(j);
    json_open_array(j);
    json_close_array(j);
    json_open_object(j);
    json_key_bool(j, "name", false);
    json_close_object(j);
    json_close_array(j);
    json_key(j, "empty");
    json_open_object(j);
    json_close_object(j);
    json_key_f64(j, "pi", 3.25);
    json_close_object(j);
}

static void compact_form(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, false, NULL);
    write_sample(&j);
    assert_true(json_end(&j));
    assert_string_equal(out.data,
                        "{\"name\":\"a\\\"b\\\\c\\n\\u0001\\u007f/\xc3\xa4\","
                        "\"big\":18446744073709551615,\"low\":-9223372036854775808,"
                        "\"list\":[true,null,[],{\"name\":false}],\"empty\":{},\"pi\":3.25}");
}

static void pretty_form(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, true, "list,empty");
    write_sample(&j);
    assert_true(json_end(&j));
    assert_string_equal(out.data, "{\n  \"list\": [\n    true,\n    null,\n    [],\n    {\n"
                                  "      \"name\": false\n    }\n  ],\n  \"empty\": {}\n}\n");
}

static void a_strict_reader_agrees(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, true, NULL);
    write_sample(&j);
    assert_true(json_end(&j));
    json_tokener *tok = json_tokener_new();
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *read = json_tokener_parse_ex(tok, out.data, (int)out.len + 1);
    assert_non_null(read);
    json_object *name;
    assert_true(json_object_object_get_ex(read, "name", &name));
    assert_string_equal(json_object_get_string(name), "a\"b\\c\n\x01\x7f/\xc3\xa4");
    json_object_put(read);
    json_tokener_free(tok);
}

static void only_asked_fields_are_written(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    size_t len;
    json_init(&j, &out, false, "low, pi,nmae");
    write_sample(&j);
    assert_true(json_end(&j));
    assert_string_equal(out.data, "{\"low\":-9223372036854775808,\"pi\":3.25}");
    const char *unused = json_unused_field(&j, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(unused, "nmae", 4);
}

static void inner_keys_do_not_count_as_fields(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    size_t len;
    json_init(&j, &out, false, "name");
    json_open_object(&j);
    json_key(&j, "inner");
    json_open_object(&j);
    json_key_u64(&j, "name", 1);
    json_close_object(&j);
    json_key_u64(&j, "name", 2);
    json_close_object(&j);
    assert_true(json_end(&j));
    assert_string_equal(out.data, "{\"name\":2}");
    assert_null(json_unused_field(&j, &len));
}

static void broken_utf8_is_replaced(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, false, NULL);
    json_add_str_n(&j, "a\xff\0\xe2\x82", 5);
    assert_true(json_end(&j));
    assert_string_equal(out.data, "\"a\xef\xbf\xbd\\u0000\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void check_number(double x, const char *want)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, false, NULL);
    json_add_f64(&j, x);
    assert_true(json_end(&j));
    if (want)
        assert_string_equal(out.data, want);
    else
        assert_true(strtod(out.data, NULL) == x);
}

static void numbers_are_short_and_come_back(void **state)
{
    check_number(0.1, "0.1");
    check_number(0, "0");
    check_number(5, "5");
    check_number(-2.5, "-2.5");
    check_number(0.1 + 0.2, "0.30000000000000004");
    check_number(1e300, "1e+300");
    check_number(1.0 / 3, "0.3333333333333333");
    check_number(NAN, "null");
    check_number(INFINITY, "null");
    check_number(DBL_MAX, NULL);
    check_number(5e-324, NULL);
    check_number(9007199254740993.0, NULL);
}

static void absent_text_is_null(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, false, NULL);
    json_open_array(&j);
    json_add_str(&j, NULL);
    json_add_strf(&j, "%d%%", 5);
    json_add_strf(&j, "%s", "");
    json_close_array(&j);
    assert_true(json_end(&j));
    assert_string_equal(out.data, "[null,\"5%\",\"\"]");
}

static void an_open_document_is_told(void **state)
{
    own(own_str) struct str out = {0};
    struct json j;
    json_init(&j, &out, false, NULL);
    json_open_object(&j);
    assert_false(json_end(&j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_form),
        cmocka_unit_test(pretty_form),
        cmocka_unit_test(a_strict_reader_agrees),
        cmocka_unit_test(only_asked_fields_are_written),
        cmocka_unit_test(inner_keys_do_not_count_as_fields),
        cmocka_unit_test(broken_utf8_is_replaced),
        cmocka_unit_test(numbers_are_short_and_come_back),
        cmocka_unit_test(absent_text_is_null),
        cmocka_unit_test(an_open_document_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
