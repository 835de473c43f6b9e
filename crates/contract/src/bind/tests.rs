use super::*;

fn contract(unknown: &str) -> Contract {
    let text = format!(
        r#"
        name = "t"
        key = "id"
        unknown_columns = "{unknown}"
        [columns]
        id = {{ type = "string", required = true, from = ["track_id", "id", "uri"] }}
        energy = {{ type = "float", required = true }}
        genre = {{ type = "string", from = ["genre", "track_genre"] }}
        "#
    );
    Contract::parse(&text, "t.toml").unwrap()
}

fn bind(unknown: &str, header: &str) -> Result<Binding, BindError> {
    let header: Vec<String> = header.split(',').map(str::to_owned).collect();
    Binding::new(&contract(unknown), &header)
}

#[test]
fn the_first_alias_of_the_contract_wins() {
    let binding = bind("ignore", "energy,uri,id").unwrap();
    assert_eq!(binding.sources, [Some(2), Some(0), None]);
    assert_eq!(binding.ignored(), ["uri"]);
    assert_eq!(binding.width(), 3);
}

#[test]
fn header_names_are_trimmed_and_keep_their_case() {
    let binding = bind("ignore", "\u{a0}track_id\t, energy,Genre").unwrap();
    assert_eq!(binding.sources, [Some(0), Some(1), None]);
    assert_eq!(binding.ignored(), ["Genre"]);
}

#[test]
fn all_missing_columns_are_named_at_once() {
    let error = bind("ignore", "TrackID,enrgy,genre").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the header lacks id (or track_id, uri; nearest is \"TrackID\"), energy (nearest is \"enrgy\")"
    );
    let error = bind("ignore", "a,b").unwrap_err();
    assert_eq!(error.to_string(), "the header lacks id (or track_id, uri), energy");
}

#[test]
fn a_name_that_stands_twice_is_refused_where_it_is_used() {
    let error = bind("ignore", "energy,id,id").unwrap_err();
    assert_eq!(error.to_string(), "the header names \"id\" twice, and column id cannot take both; rename one of them");
    // Not used: another alias comes first, or no column takes the name.
    bind("ignore", "energy,id,track_id,id").unwrap();
    bind("ignore", "energy,id,,,x,x").unwrap();
}

#[test]
fn unknown_columns_are_treated_as_the_contract_says() {
    let header = "x,energy,id,uri,y";
    assert_eq!(bind("ignore", header).unwrap().ignored(), ["x", "uri", "y"]);
    let kept = bind("keep", header).unwrap();
    assert_eq!(kept.extra, [(0, "x".to_owned()), (4, "y".to_owned())]);
    assert_eq!(kept.ignored(), ["uri"]);
    assert_eq!(
        bind("reject", header).unwrap_err().to_string(),
        "the header has columns that the contract does not know: x, y"
    );
    bind("reject", "energy,id,uri").unwrap();
}
