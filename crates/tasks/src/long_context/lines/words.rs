//! The words that keys of lines are made of: no digits, no spaces, no hyphens.

use std::sync::LazyLock;

const ADJECTIVES: &str = "\
    able absent airy amber ample angular antique arctic ashen austere autumn azure balmy barren \
    bashful beige bitter blank bleak blunt bold bony brash brave breezy brief bright brisk \
    brittle broad bronze bruised bulky bumpy burly calm candid careful casual cautious central \
    chalky chief chilly chirpy civil clammy clean clear clever cloudy clumsy coarse cobalt cold \
    colossal common compact complex copper coral cordial cosmic costly cozy crafty crimson crisp \
    crooked cubic curious curly damp dapper daring dark dazzling decent deep delicate dense dim \
    distant docile dreamy drowsy dry dusky dusty eager early earnest eastern easy elastic \
    elegant emerald empty endless equal even exact exotic fabled faint fair faithful famous \
    fancy fast feathered fertile fierce fine firm fitting flat flaxen floral fluffy foggy fond \
    formal frail frank fresh frosty frugal full fuzzy gallant gaunt gentle genuine giant gilded \
    glad gleaming glossy golden grand granular grassy grateful grave green grim gritty gusty \
    hardy hasty hazy heavy hidden hilly hoarse hollow honest hopeful humble humid hungry icy \
    idle indigo inland inner ivory jagged jaunty jolly jovial keen kind knotty lanky large late \
    lavish lazy leafy lean level light lilac limber little lively local lofty lonely long loud \
    loyal lucid lucky lunar lush magnetic mellow merry mighty mild minor misty modest moist \
    mossy muddy mute narrow native neat nimble noble northern oblong obscure odd olive opaque \
    orderly outer oval pale pastel patient peaceful pearly perky placid plain pleasant plump \
    polite portly prim prompt proud prudent quaint quick quiet radiant rapid rare raspy raw \
    ready regal remote rich rigid ripe robust roomy rosy rough round royal rugged rural russet \
    rustic sable salty sandy scarlet secret serene shady shaggy sharp shiny short shy silent \
    silken silver simple sincere sleek sleepy slender slim slow smooth snowy snug sober soft \
    solar solemn solid sonic southern sparse spicy spiral splendid spotted square stable stale \
    stark steady steep stern sticky stiff still stony stormy stout strict sturdy subtle sudden \
    sunny supple swift tall tame tangy tart tawny teal tender tepid thick thin thorny thrifty \
    tidy tiny tired tough tranquil trim tropical true trusty twin upper urban vacant valiant \
    vast velvet vivid warm wary wavy weary western wet whole wide wild windy wintry wise wistful \
    witty wooden woolly worthy young zesty";

const NOUNS: &str = "\
    abacus acorn airfield album alcove alloy almond alphabet anchor antler anvil apple apron \
    aquarium arcade arch archer armchair arrow atlas attic avenue axle badge badger bagpipe \
    bakery balcony ballad balloon bamboo banjo banner barge barley barn barrel basin basket \
    beacon beaver bell bench berry bicycle birch biscuit blanket blossom bonnet bookend border \
    bottle boulder bouquet bowl bracelet branch brass brick bridge broom brook bucket buckle \
    buffalo bugle bulb bundle butter button cabin cabinet cable cactus camera canal candle canoe \
    canvas canyon caravan cargo carpet carriage castle cavern cedar cellar cello chapel chestnut \
    chimney chisel cinema circle citadel clarinet clasp cliff clock clover coach coast cobbler \
    comet compass corner cottage cotton cradle crane crater crayon cricket crown crystal \
    cupboard curtain cushion cypress dagger dairy desert diamond dome donkey dragon drawer drum \
    easel eagle echo elbow elm ember engine envelope fabric falcon farmer feather fence fern \
    ferry fiddle field finch flag flame flask fleet flint flute fountain fox frame furnace \
    galaxy garden garland gate geyser ginger giraffe glacier globe glove goat goblet granite \
    grape gravel guitar hamlet hammer hammock harbor harness harp harvest hatchet hawk hazel \
    hedge helmet hermit heron hill hinge holly honey horizon hornet hotel igloo inlet iris \
    island jacket jasmine jewel jigsaw journal juniper kayak kernel kettle kitten knight knot \
    lagoon lake lamp lantern lark lattice laurel lavender ledger lemon lens lettuce lever \
    library lichen lighthouse lily linen lizard lobster locket loom lumber lute lynx magnet \
    mallet mango mantle maple marble market marsh mason meadow medal melon merchant meteor mill \
    mineral mirror mitten monsoon mortar mosaic mosquito mountain museum mushroom mustard napkin \
    needle nest nickel notebook nutmeg oak oasis oboe ocean onion orbit orchard orchid organ \
    osprey otter oven owl oyster paddle palace panther paper parade parcel parlor parsley \
    pasture path pavilion peach pearl pebble pelican pepper piano pigeon pillar pillow pine \
    pioneer pitcher planet plank plate plaza plough plum pocket poem poplar porch portal potter \
    prairie prism pulley pumpkin puzzle pyramid quarry quartz quill quilt rabbit raft railway \
    rainbow raven reef reindeer ribbon ridge river rocket roof rope rose rudder ruler saddle \
    sailor salmon sandal sapphire satchel scarf scholar school sculpture seagull seed shadow \
    shawl shelf shell shepherd shield shovel shrine signal skillet slate sleigh slipper sloop \
    snail sofa sparrow spice spindle spire sponge spoon spring spruce squirrel staircase statue \
    steeple stork stove stream sunrise swallow swan sycamore table tailor tapestry tavern teapot \
    telescope temple tent terrace thicket thimble thistle thunder ticket tiger timber tinker \
    toast torch tower tractor train tray treasure trellis tribune trolley trumpet tulip tunnel \
    turbine turnip turret turtle umbrella valley vase vault veranda vessel village vineyard \
    violet violin volcano voyage wagon walnut walrus waterfall weaver wharf wheat wheel whisker \
    whistle widget willow windmill window winter wizard wolf wool workshop wren yacht yarn zebra \
    zephyr";

/// 369 adjectives.
pub(in super::super) fn adjectives() -> &'static [&'static str] {
    static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| ADJECTIVES.split_whitespace().collect());
    &LIST
}

/// 460 nouns, none of them an adjective of the list.
pub(in super::super) fn nouns() -> &'static [&'static str] {
    static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| NOUNS.split_whitespace().collect());
    &LIST
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_plain_and_different() {
        let all: HashSet<&str> = adjectives().iter().chain(nouns()).copied().collect();
        assert_eq!((adjectives().len(), nouns().len()), (369, 460));
        assert_eq!(all.len(), adjectives().len() + nouns().len());
        assert!(all.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }
}
