//! What is wrong with resources, alone and together.

use super::check;

#[test]
fn resources_alone_and_together() {
    check(
        &[(
            r#"[[resources]]
name = "orders"
path = "/orders/{shard}/**"
resource = "orders/{shard}"
write = ["**"]
"#,
            "",
        )],
        r#"
1:1 warning: there are no resources, so every request is refused
    add `[[resources]]` with `name`, `path` and `resource`
"#,
    );
    check(
        &[(r#"write = ["**"]"#, r#"listeners = ["object", "x"]"#)],
        r#"
16:1 warning: nobody may write: [[resources]] has no `write`
    add `write = ["…"]` with globs on identities
20:14 error: there is no listener "object"
    did you mean "objects"?
20:24 error: there is no listener "x"
    there are: objects
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
listeners = []
raise = []"#,
        )],
        r#"
21:13 error: it is on no listener, so it never matches
    leave `listeners` out for all of them
22:9 warning: nobody may raise, so no leader can ever take over
    leave `raise` out to let every writer raise
"#,
    );
    check(
        &[("/orders/{shard}/**", "orders"), ("orders/{shard}", "x")],
        r#"
18:8 error: `path` is not a pattern
    a pattern begins with `/`
"#,
    );
    check(
        &[(r#"resource = "orders/{shard}""#, r#"resource = "orders/{shrad}""#)],
        r#"
19:12 error: `resource` is not a template
    there is no place `{shrad}`; there is `{shard}`
"#,
    );
    check(
        &[("/orders/{shard}/**", "/.palisade/{shard}")],
        r#"
18:8 error: this never matches: the reserved prefix takes all of its paths before it
    write another `path` or `prefix`
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
[[resources]]
name = "second"
write = ["a"]
path = "/orders/{s}/a"
resource = "second""#,
        )],
        r#"
24:8 error: this never matches: rule "orders" takes all of its paths before it
    put the narrower rule first
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
[[resources]]
name = "second"
write = ["a"]
path = "/orders/{s}"
resource = "orders/{s}""#,
        )],
        r#"
24:8 error: this never matches: rule "orders" takes all of its paths before it
    put the narrower rule first
25:12 error: this can name the same resource as `orders/{shard}` of rule "orders"
    begin them differently, or write the very same template to share resources
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
[[resources]]
name = "second"
write = ["a"]
path = "/stock/{s}"
resource = "orders/{s}""#,
        )],
        r#"
25:12 error: this can name the same resource as `orders/{shard}` of rule "orders"
    begin them differently, or write the very same template to share resources
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
[[resources]]
name = "second"
write = ["a"]
path = "/stock/{shard}"
resource = "orders/{shard}""#,
        )],
        "",
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
[[resources]]
name = "second"
write = ["a"]
path = "/stock/{shard}"
resource = "orders/{shard}"
settle_timeout = "31s"
tokens.share_token = true"#,
        )],
        r#"
25:12 error: this shares its resources with rule "orders", but not `tokens.share_token`, `settle_timeout`
    write the same there, or another template
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = ["**"]
[[resources]]
name = "orders"
write = ["a"]
path = "/stock"
resource = "stock""#,
        )],
        r#"
22:8 error: the name "orders" is there twice
    give each rule its own name
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = "**"
tokens = { share_token = true, holder = "certificate", max_jump = 0 }"#,
        )],
        r#"
21:26 error: `share_token` lets several identities bring a token, `holder = "certificate"` lets only one certificate
    leave one of them out
21:67 error: `max_jump` is out of bounds
    from 1 to 9223372036854775807
"#,
    );
    check(
        &[(
            r#"write = ["**"]"#,
            r#"write = "**"
settle_timeout = "10s"
takeover_timeout = "500ms"
commit_point = "head""#,
        )],
        r#"
21:18 warning: upstream "minio" may take 30s to answer, and after 10s a takeover does not wait any more: a write that is applied in the 20s between is not fenced
    write a `settle_timeout` at least as long as `response_timeout`
22:20 warning: a takeover may wait 10s for the store, and a new leader waits 500ms a try: it may be told `unsettled` 19 times
    write a longer `takeover_timeout`
23:16 warning: on [listeners.objects] an upload counts from its head on, so a takeover cannot cut it and waits for it
    leave `commit_point` out: S3 applies a write at its last byte
"#,
    );
    check(
        &[(
            r#"[[resources]]
"#,
            r#"name = 3
 = 7
[[resources
"#,
        )],
        r#"
17:2 error: this is not TOML: unquoted keys cannot be empty
    expected letters, numbers, `-`, `_`
18:12 error: this is not TOML: unclosed array table
    expected `]]`
"#,
    );
}
