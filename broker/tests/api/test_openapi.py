"""docs/openapi.yaml is true: its examples, its codes, its fields, held against a real broker."""

import os

import plain_yaml
from driver import TREE, check, same, seen, status_map, test

whole_run = False  # set by run.py: every test has run, so what is documented must have been seen


def document():
    with open(os.path.join(TREE, "docs", "openapi.yaml"), encoding="utf-8") as text:
        return plain_yaml.load(text.read())


def resolved(api, value):
    while "$ref" in value:
        target = api
        for part in value["$ref"].lstrip("#/").split("/"):
            check(part in target, "openapi.yaml: nothing at", value["$ref"])
            target = target[part]
        value = target
    return value


def operations(api):
    """(path, METHOD, operation) of every call, in the document's order."""
    return [(path, method.upper(), operation) for path, methods in api["paths"].items()
            for method, operation in methods.items()]


def responses(api):
    """(path, METHOD) -> HTTP status -> the response."""
    return {(path, method): {int(http): resolved(api, response)
                             for http, response in operation["responses"].items()}
            for path, method, operation in operations(api)}


def json_of(response):
    return response["content"]["application/json"]


@test()
def examples(given):
    """Sent in the document's order to an empty broker, each gets the answer that is shown."""
    api = document()
    broker = given.fresh_broker()
    for path, method, operation in operations(api):
        params = {p["name"]: p["example"] for p in operation.get("parameters", [])
                  if "example" in p}
        body = json_of(operation["requestBody"])["example"] if "requestBody" in operation else None
        answer = broker.api.call(method, path, params=params, json=body)
        expected = json_of(resolved(api, operation["responses"]["200"]))["example"]
        same((answer.http, answer.body), (200, expected), "%s %s" % (method, path))
    broker.stop()


@test()
def required_parameters(given):
    """Without a parameter that is required: bad_request that names it; without another: not."""
    api = document()
    given.api.call("POST", "/topics", json={"name": "example_topic"})
    for path, method, operation in operations(api):
        if method == "GET":
            required = {p["name"]: p["required"] for p in operation.get("parameters", [])}
        else:
            schema = json_of(operation["requestBody"])["schema"]
            required = {name: name in schema["required"] for name in schema["properties"]}
        values = {name: "example_topic" if name == "topic" else "1" for name in required}
        for missing in required:
            fields = {k: v for k, v in values.items() if k != missing}
            if method == "POST":
                fields.pop("messages", None)  # it excludes `message`
            answer = given.api.call(method, path, params=fields)
            named = answer.http == 400 and "'%s'" % missing in answer.body["message"]
            if required[missing]:
                answer.refused("bad_request", missing)
            elif missing not in ("message", "messages"):  # of these two, one is required
                check(not named, "refused for the lack of %s:" % missing, answer)


@test(())
def codes_are_those_of_the_status_map(given):
    api = document()
    documented = {}
    everywhere = [(int(r["x-http-status"]), r) for r in api["components"]["responses"].values()]
    for by_http in responses(api).values():
        everywhere += by_http.items()
    for http, response in everywhere:
        for code in response.get("x-codes", []):
            same(documented.setdefault(code, http), http, "HTTP status of %s" % code)
        check(http == 200 or response.get("x-codes"), "a failure without x-codes:", http, response)
        if http != 200:
            same(json_of(response)["schema"], {"$ref": "#/components/schemas/Failure"}, "schema")
    same(documented, status_map(), "codes and HTTP status, against common/status.h")
    enum = api["components"]["schemas"]["Failure"]["properties"]["code"]["enum"]
    same(sorted(enum), sorted(status_map()), "the code's enum, against common/status.h")


def known_path(api, path):
    path = path.split("?")[0]
    for candidate in (path, path[:-1] if path.endswith("/") else path):
        if candidate in api["paths"]:
            return candidate
    return None


@test(())
def every_answer_seen_is_documented(given):
    """All answers of all tests of this run."""
    api = document()
    by_call = responses(api)
    for method, path, http, what in seen:
        known = known_path(api, path)
        case = "%s %s answered %d %s" % (method, path[:80], http, what)
        if known is None:
            same(what, "unknown_path", "code of %s" % case)
        elif (known, method) not in by_call:
            same(what, "wrong_method", "code of %s" % case)
        else:
            check(http in by_call[known, method], "not documented:", case)
            response = by_call[known, method][http]
            if http != 200:
                check(what in response["x-codes"], "not documented:", case)
                continue
            schema = json_of(response)["schema"]
            check(what <= set(schema["properties"]), "fields not documented:", case)
            check(what >= set(schema["required"]), "required fields missing:", case)


@test(())
def every_documented_answer_was_seen(given):
    """Each call's success with all its fields, and each refusal; after the whole suite only."""
    if not whole_run:
        return
    api = document()
    for (path, method), by_http in responses(api).items():
        met = [(http, what) for m, p, http, what in seen
               if m == method and known_path(api, p) == path]
        fields = set().union(*[what for http, what in met if http == 200])
        same(sorted(fields), sorted(json_of(by_http[200])["schema"]["properties"]),
             "fields of %s %s" % (method, path))
        for http, response in by_http.items():
            # Which of the 500s and 503s a run meets depends on its faults; one 503 each must be.
            if 400 <= http < 500:
                missing = set(response["x-codes"]) - {what for _, what in met}
                same(sorted(missing), [], "codes of %s %s that no test met" % (method, path))
    codes = {what for _, _, http, what in seen if http != 200}
    missing = {"unknown_path", "wrong_method", "store_away"} - codes
    same(sorted(missing), [], "codes that no test met")


@test(())
def plain_yaml_reads_and_refuses(given):
    same(plain_yaml.load("a: 1\n# x\nb:\n  - c: 'it''s: #'\n    d: [x, 2]\n  - y\n"
                         "e: |\n  f\n\n  g\nh: true\n"),
         {"a": 1, "b": [{"c": "it's: #", "d": ["x", 2]}, "y"], "e": "f\n\ng\n", "h": True}, "value")
    for wrong in ("a: {}", "a: b: c", "a", "a:", "a: 1\na: 2", "a: \"x\"", "a: 'x", "a: 1\n  b: 2",
                  "- a\nb: 1", "a: x # y"):
        try:
            value = plain_yaml.load(wrong)
        except plain_yaml.Error as refusal:
            check("line " in str(refusal), "no line number:", refusal)
        else:
            check(False, "%r was read as %r" % (wrong, value))
