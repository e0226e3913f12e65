//! Prices an order from the catalogue, so that a caller who may not set an amount sends codes and
//! quantities only.

use crate::config::CatalogueItem;
use crate::ids::ItemCode;
use crate::money::{Money, MoneyError};
use crate::payment::terms::CatalogueLine;

/// Most lines of one order.
pub const LINES_MAX: usize = 100;

/// The catalogue cannot price it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was ordered, or too much at once.
    #[error("an order has 1 to {LINES_MAX} lines")]
    Lines,
    /// There is no such item.
    #[error("the catalogue has no item {item}")]
    UnknownItem {
        /// Which.
        item: ItemCode,
    },
    /// None of it, or more than can be counted, or two currencies.
    #[error("item {item} cannot be added: {cause}")]
    Sum {
        /// Which.
        item: ItemCode,
        /// Why.
        cause: MoneyError,
    },
}

/// The price of all lines together.
///
/// # Errors
/// [`Refusal`].
pub fn price(catalogue: &[CatalogueItem], lines: &[CatalogueLine]) -> Result<Money, Refusal> {
    if lines.len() > LINES_MAX {
        return Err(Refusal::Lines);
    }
    let mut total: Option<Money> = None;
    for line in lines {
        let known = catalogue.iter().find(|item| item.code == line.item);
        let item = known.ok_or_else(|| Refusal::UnknownItem {
            item: line.item.clone(),
        })?;
        let sum = item
            .price
            .times(line.quantity)
            .and_then(|price| match total {
                None => Ok(price),
                Some(total) => total.plus(price),
            });
        total = Some(sum.map_err(|cause| Refusal::Sum {
            item: line.item.clone(),
            cause,
        })?);
    }
    total.ok_or(Refusal::Lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn item(code: &str, minor: i64, currency: &str) -> CatalogueItem {
        let price = Money::new(minor, Currency::from_code(currency).unwrap()).unwrap();
        CatalogueItem {
            code: ItemCode::parse(code).unwrap(),
            title: code.to_owned(),
            price,
        }
    }

    fn line(code: &str, quantity: u32) -> CatalogueLine {
        CatalogueLine {
            item: ItemCode::parse(code).unwrap(),
            quantity,
        }
    }

    #[test]
    fn the_total_is_exact_or_refused() {
        let items = [
            item("tea", 150_000, "AMD"),
            item("cup", 99, "USD"),
            item("house", i64::MAX, "AMD"),
        ];
        let total = |lines: &[CatalogueLine]| price(&items, lines);
        assert_eq!(
            total(&[line("tea", 2), line("tea", 1)]).unwrap().minor(),
            450_000
        );
        assert!(matches!(total(&[]), Err(Refusal::Lines)));
        assert!(matches!(
            total(&[line("coffee", 1)]),
            Err(Refusal::UnknownItem { .. })
        ));
        for bad in [
            vec![line("tea", 0)],
            vec![line("tea", 1), line("cup", 1)],
            vec![line("house", 2)],
        ] {
            assert!(matches!(total(&bad), Err(Refusal::Sum { .. })), "{bad:?}");
        }
        assert!(matches!(
            total(&vec![line("tea", 1); 101]),
            Err(Refusal::Lines)
        ));
    }
}
